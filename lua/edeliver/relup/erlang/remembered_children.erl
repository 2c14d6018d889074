%% The children that start_children has started since the VM began and that are still there: `[{Application, Id}]`.
-module(remembered_children).
-export([run/0]).

run() ->
  Ids = fun(Application) ->
    try
      {Pid, _} = application_master:get_child(application_controller:get_master(Application)),
      [Id || {Id, _, _, _} <- supervisor:which_children(Pid)]
    catch _:_ -> []
    end
  end,
  [Child || {{edeliver_relup, started_child, {Application, Id} = Child}, true} <- persistent_term:get(),
            lists:member(Id, Ids(Application))].
