%% Which processes have a module as their own: those that were started with it as their callback module, and those that the child specs
%% of supervisors name. Named is [{Module, Pid, Supervisor}] of the latter.
%%
%% #{started => fun(Modules, Among) -> [{Module, Pids}] by what started them,
%%   look => fun(Stop, Looked) -> Looked, of all that are there; {[], []} where nobody has looked yet,
%%   find => fun(Stop) -> [{Module, Pids}] of all that the stop suspends, with the stop's own Looked,
%%   is_supervisor => fun(Pid) -> boolean()}
-module(changed_processes).
-export([run/1]).
-compile(nowarn_deprecated_catch).

run(Named) ->
  %% Processes by what started them: callback modules of gen servers, supervisors and the like, channels and LiveViews.
  Started = fun(Modules, Among) ->
    Calls = lists:map(fun proc_lib:translate_initial_call/1, Among),
    Wanted = [{Module, Call} || {Module, Fun, Arity} = Call <- lists:usort(Calls), lists:member(Module, Modules),
                                lists:member({Fun, Arity}, [{init, 1}, {join, 3}, {mount, 3}])] ++
             [{Module, Call} || {supervisor, Module, _} = Call <- lists:usort(Calls), lists:member(Module, Modules)],
    Rows = lists:zip(Among, Calls),
    [{Module, ets:match_spec_run(Rows, ets:match_spec_compile([{{'$1', '$2'}, [{'=:=', '$2', {const, Call}}], ['$1']}]))}
     || {Module, Call} <- Wanted]
  end,
  %% Those that only their child specs name, the ones that were started since included.
  Again = fun(Modules) ->
    Wanted = [Row || {Module, _, _} = Row <- Named, lists:member(Module, Modules)],
    Now0 = [{Module, Pid} || Supervisor <- lists:usort([Supervisor || {_, _, Supervisor} <- Wanted]),
                             {ok, Children} <- [catch gen:call(Supervisor, '$gen_call', which_children, 1000)],
                             {_, Pid, _, [_ | _] = Of} <- Children, is_pid(Pid), Module <- Of],
    lists:usort([{Module, Pid} || {Module, Pid, _} <- Wanted] ++
                [Row || {Module, _} = Row <- Now0, lists:keymember(Module, 1, Wanted)])
  end,
  IsSupervisor = fun(Pid) -> element(1, proc_lib:translate_initial_call(Pid)) =:= supervisor end,
  %% Found are {Seen, Rows}: those that have been looked at need not be looked at again in the stop, where everybody waits.
  Look = fun(#{suspend := []}, _) -> {[], []};
            (#{suspend := Modules}, {Seen, Rows}) ->
    All = lists:sort(processes() -- [self()]),
    {All, Started(Modules, ordsets:subtract(All, Seen)) ++ Rows}
  end,
  Find = fun(#{suspend := Modules, looked := Looked} = Stop) ->
    {_, Rows} = Look(Stop, Looked),
    Others = Again(Modules),
    [{Module, lists:usort(lists:append([Pids || {M, Pids} <- Rows, M =:= Module]) ++ [Pid || {M, Pid} <- Others, M =:= Module])}
     || Module <- Modules]
  end,
  #{started => Started, look => Look, find => Find, is_supervisor => IsSupervisor}.
