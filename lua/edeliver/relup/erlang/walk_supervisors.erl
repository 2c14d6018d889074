%% Walks all supervision trees as release_handler will, before anything is suspended: `{walked, Supervisors, InTheWay, First, Of}`,
%% or `timeout` after Timeout ms. InTheWay counts the processes that its own walk would fail at, First names up to ten of them:
%% `{Kind, Pid, Name, Application, Parent, Id, Module}`. Of is `[{Module, Pid, Parent}]`: the children that child specs name as of
%% one of Modules, but for those of which `$initial_call` says so.
%%
%% Nobody is asked who might not know the question: it kills many a worker, and which_children is asked of supervisors alone. What
%% the others are is told from outside: by the modules that they run in, and the atoms which those have.
-module(walk_supervisors).
-compile(nowarn_deprecated_catch).
-export([run/3]).

run(Timeout, Patience, Modules) ->
  Knows = fun(Module, Word) ->
    try
      {ok, {_, [{atoms, Atoms}]}} = beam_lib:chunks(code:which(Module), [atoms]),
      lists:keymember(Word, 2, Atoms)
    catch _:_ -> true
    end
  end,
  RunsIn = fun(Pid, {Module, _, _}) ->
    Stack = case process_info(Pid, current_stacktrace) of {current_stacktrace, Frames} -> Frames; undefined -> [] end,
    lists:usort([Module | [element(1, Frame) || Frame <- Stack]])
  end,
  Answers = fun(Pid, Call, Word) -> lists:any(fun(Module) -> Knows(Module, Word) end, RunsIn(Pid, Call)) end,
  IsSupervisor = fun(_, {Module, _, _}) when Module =:= supervisor; Module =:= supervisor_bridge; Module =:= ranch_conns_sup -> true;
                    (Pid, Call) -> Answers(Pid, Call, which_children)
                 end,
  IsSuspended = fun(Pid) ->
    case process_info(Pid, current_function) of
      {current_function, {sys, Loop, _}} -> Loop =:= suspend_loop orelse Loop =:= suspend_loop_hib;
      _ -> false
    end
  end,
  Describe = fun(Kind, {_, Pid, Application, Parent, Id}) ->
    Name = case process_info(Pid, registered_name) of {registered_name, Registered} -> Registered; _ -> undefined end,
    {Module, _, _} = proc_lib:translate_initial_call(Pid),
    {Kind, Pid, Name, Application, Parent, Id, Module}
  end,
  %% Which of these to ask, and which are in the way.
  Sort = fun({Kind, Pid, _, _, _} = Each, {Ask, Found}) ->
    Call = proc_lib:translate_initial_call(Pid),
    Alive = is_process_alive(Pid),
    Suspended = Kind =/= dynamic andalso IsSuspended(Pid),
    Fits = case Kind of
      dynamic -> element(1, Call) =:= gen_event orelse Answers(Pid, Call, get_modules);
      _ -> Suspended orelse IsSupervisor(Pid, Call)
    end,
    if
      not Alive -> {Ask, Found};
      Suspended -> {Ask, [Describe(suspended, Each) | Found]};
      not Fits -> {Ask, [Describe(Kind, Each) | Found]};
      Kind =:= dynamic -> {Ask, Found};
      true -> {[Each | Ask], Found}
    end
  end,
  %% The children of those that answer, and who does not. No receive here has a time of its own: see guard.erl.
  Collect = fun Collect(Open, Got, _) when Open =:= #{} -> {Got, []};
                Collect(Open, Got, Until) ->
    receive
      {{walk, Pid}, Children} when is_map_key(Pid, Open) ->
        Collect(maps:remove(Pid, Open), [{map_get(Pid, Open), Children} | Got], Until);
      {look, Before} ->
        %% Those that are dead never will: looked for where nobody has answered since the last look.
        Alive = case map_size(Open) of
          Before -> maps:filter(fun(Pid, _) -> is_process_alive(Pid) end, Open);
          _ -> Open
        end,
        erlang:send_after(50, self(), {look, map_size(Alive)}),
        case erlang:monotonic_time(millisecond) > Until of
          true -> {Got, maps:values(Alive)};
          false -> Collect(Alive, Got, Until)
        end
    end
  end,
  Interesting = fun(Children) when is_list(Children) ->
                      lists:keymember(supervisor, 3, Children) orelse lists:keymember(dynamic, 4, Children);
                   (_) -> false
                end,
  %% Connections of cowboy answer the question, and there may be many of them.
  Connections = [cowboy_clear, cowboy_tls, cowboy_protocol],
  Candidates = fun({{_, Parent, Application, _, _}, Children}) ->
    [{Kind, Pid, Application, Parent, Id}
      || Interesting(Children), {Id, Pid, Type, Named} <- Children, is_pid(Pid), node(Pid) =:= node(),
         not lists:member(Id, Connections),
         Kind <- case {Type, Named} of {supervisor, _} -> [supervisor]; {worker, dynamic} -> [dynamic]; _ -> [] end]
  end,
  %% There may be very many children, so compiled code looks at them; most child specs name one module.
  ByModules = ets:match_spec_compile(
    [{{'_', '$1', '_', [Module]}, [{is_pid, '$1'}], [{{'$1', [[Module]]}}]} || Module <- Modules] ++
    [{{'_', '$1', '_', ['$2', '$3' | '$4']}, [{is_pid, '$1'}], [{{'$1', ['$2', '$3' | '$4']}}]},
     {{'_', '$1', worker, dynamic}, [{is_pid, '$1'}], [{{'$1', dynamic}}]}]),
  DynamicModules = fun(Pid) ->
    Call = proc_lib:translate_initial_call(Pid),
    case element(1, Call) =:= gen_event orelse Answers(Pid, Call, get_modules) of
      true -> case catch gen:call(Pid, self(), get_modules, Patience) of {ok, Of} when is_list(Of) -> Of; _ -> [] end;
      false -> []
    end
  end,
  Told = fun(Pid, Module) ->
    case proc_lib:translate_initial_call(Pid) of
      {Module, Fun, Arity} -> lists:member({Fun, Arity}, [{init, 1}, {join, 3}, {mount, 3}]);
      Call -> Call =:= {supervisor, Module, 1}
    end
  end,
  ChildrenOf = fun(_) when Modules =:= [] -> [];
                  ({{_, Parent, _, _, _}, Children}) when is_list(Children) ->
    [{Module, Pid, Parent}
     || {Pid, Of0} <- ets:match_spec_run(Children, ByModules),
        Of <- case Of0 of dynamic -> DynamicModules(Pid); _ -> Of0 end, Module <- lists:flatten([Of]),
        lists:member(Module, Modules), not Told(Pid, Module)];
                  (_) -> []
  end,
  Walk = fun Walk([], Count, Found, Of) -> {walked, Count, length(Found), lists:sublist(lists:reverse(Found), 10), Of};
             Walk(Level, Count, Found, Of) ->
    {Ask, Sorted} = lists:foldl(Sort, {[], Found}, Level),
    Pids = [Pid || {_, Pid, _, _, _} <- Ask],
    _ = lists:zipwith(fun erlang:send/2, Pids, [{'$gen_call', {self(), {walk, Pid}}, which_children} || Pid <- Pids]),
    Until = erlang:monotonic_time(millisecond) + Patience,
    {Got, Silent} = Collect(maps:from_list(lists:zip(Pids, Ask)), [], Until),
    Walk(lists:append(lists:map(Candidates, Got)), Count + length(Ask),
         lists:reverse([Describe(silent, Each) || Each <- Silent], Sorted), lists:append([Of | lists:map(ChildrenOf, Got)]))
  end,
  Top = fun() ->
    Masters = [{Application, application_controller:get_master(Application)} || {Application, _, _} <- application:which_applications()],
    [{root, Root, Application, undefined, undefined}
      || {Application, Master} <- Masters, is_pid(Master), {Root, _} <- [application_master:get_child(Master)], is_pid(Root)]
  end,
  {Walker, Ref} = spawn_monitor(fun() -> self() ! {look, 0}, exit(Walk(Top(), 0, [], [])) end),
  Late = erlang:start_timer(Timeout, self(), late),
  receive
    {'DOWN', Ref, process, Walker, Result} -> Result;
    {timeout, Late, _} -> demonitor(Ref, [flush]), exit(Walker, kill), timeout
  end.
