%% Ends children of the top supervisors of applications and forgets their specs: Children is `[{Application, Id}]`, the last first.
%% `[{Application, Spec}]` of those that were ended, in the order of Children; one that is not there is left out.
-module(end_children).
-export([run/1]).

run(Children) ->
  Top = fun(Application) ->
    try application_master:get_child(application_controller:get_master(Application)) of
      {Pid, _} when is_pid(Pid) -> [Pid];
      _ -> []
    catch _:_ -> []
    end
  end,
  End = fun({Application, Id}, Ended) ->
    case [{Supervisor, Spec} || Supervisor <- Top(Application), {ok, Spec} <- [supervisor:get_childspec(Supervisor, Id)]] of
      [{Supervisor, Spec}] ->
        _ = supervisor:terminate_child(Supervisor, Id),
        _ = supervisor:delete_child(Supervisor, Id),
        [{Application, Spec} | Ended];
      [] -> Ended
    end
  end,
  lists:foldl(End, [], lists:reverse(Children)).
