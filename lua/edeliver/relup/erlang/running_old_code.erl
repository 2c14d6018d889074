%% Which processes have old code of which modules: `[{Module, [Pid]}]`. A process that could only be looked at after a garbage
%% collection counts, too.
-module(running_old_code).
-export([run/0]).

run() ->
  Pids = processes(),
  Ask = fun(Module) ->
    Answers = lists:zipwith3(fun erlang:check_process_code/3, Pids, lists:duplicate(length(Pids), Module),
                             lists:duplicate(length(Pids), [{allow_gc, false}])),
    [Pid || {Pid, Answer} <- lists:zip(Pids, Answers), Answer =/= false]
  end,
  [{Module, Found} || {Module, _} <- code:all_loaded(), erlang:check_old_code(Module), Found <- [Ask(Module)], Found =/= []].
