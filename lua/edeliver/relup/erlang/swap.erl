%% The swap: gives many modules and their processes new code at once, from inside the node. step/swap.lua starts it.
%%
%% A process of its own, registered as edeliver_relup_swap and bound to the guard: prepared while everybody runs, short in the
%% stop, purging afterwards. A relup calls it by {apply, {gen_server, call, [edeliver_relup_swap, {swap, Id}, infinity]}}. It
%% finishes what it has begun whatever becomes of the operator: all of a stop's modules and processes are new then, or all old.
%% Loads no code but the release's. What is done for every process is done by compiled functions.
%%
%% Stops is a list of #{id, cancels, load => [{Module, Application, Version} | {Module, Path}], remove => [Module],
%% change => [{Module, up | down | static, Extra}], suspend => [Module], paths => [{app, Application, Version} | {From, To}],
%% children => whether new children of changed supervisors are started, and removed ones ended, starts => [{Application, Version, Type}]
%% of applications that are added, which start before anybody is suspended}: a way down changes before the load, unless it is static.
%% Named is [{Module, Pid, Supervisor}]: who supervision trees name, and nothing else tells; Options #{timeout, on_failed => rollback | restart, max_stand_still}. Gives {ok, Pid, Found} | {error, Reason}.
%%
%% It answers gen_server calls:
%%   {Token, {arm, Held}}  ok: the next {swap, Id} is meant, and not only asked by check_install_release, which is answered ok;
%%                         Held are suspended already, and not resumed by a swap
%%   {Token, disarm}       ok | {error, swapping}
%%   {Token, report}       [{Id, Report}], the oldest first
%%   {Token, leave}        ok: gone, unless there is something to be purged
%%   {swap, Id}            from the relup: ok, or it fails with {edeliver_relup, Reason}, and nothing has changed
%%   who                   {swap, State, Lingering}: prepared | armed | purging; [{Module, Pids, Holders}] of old code that is not
%%                         purged: who runs it, and who has funs of it, [{process, Pid} | {table, Name} | {persistent_term, Key}]
%%   held                  {held, [Module]}: not to be purged, since somebody has funs of their old code
%%   take_over             {taken, Unpurged, Funs}, while purging: it is gone, and the next swap has its work
-module(swap).
-export([run/9]).
-parts([release_files, ask_many, old_funs, supervised_children]).
-compile(nowarn_deprecated_catch).

run(Guard, Token, Stops, Named, Options, ReleaseFiles, AskMany, OldFuns, SupervisedChildren) ->
  Parent = self(),
  Tag = make_ref(),
  Now = fun() -> erlang:monotonic_time(microsecond) end,
  Timeout = maps:get(timeout, Options),

  %% Reading ------------------------------------------------------------------------------------------------------------

  #{folder := Folder, file := File, beam := Beam, single := Single} = ReleaseFiles,
  #{kinds := FunsOf, is_held := IsHeld, holders := HoldersOf, of_loaded := FunsOfLoaded, of_old := FunsOfOld, fits := Fits,
    renew := Renew} = OldFuns,
  %% [{Module, at most ten Holders}]
  HoldersAmong = fun(Used) ->
    Found = HoldersOf(Used, 5000),
    [{Module, lists:sublist([Holder || {M, Holder} <- Found, M =:= Module], 10)} || {Module, _} <- Used]
  end,
  Holders = fun(Modules, Known) -> HoldersAmong([{Module, Code} || Module <- Modules, [_ | _] = Code <- [FunsOfOld(Module, Known)]]) end,
  Loaded = fun(Module) ->
    case erlang:module_loaded(Module) of true -> erlang:get_module_info(Module, md5); false -> none end
  end,
  %% The module's vsn attribute, as release_handler hands it to code_change: of its code, or of what is loaded.
  Vsn = fun(Bytes) -> case beam_lib:version(Bytes) of {ok, {_, All}} -> Single(All); _ -> undefined end end,
  LoadedVsn = fun(Module) -> Single(proplists:get_value(vsn, erlang:get_module_info(Module, attributes), undefined)) end,
  %% The file that the loaded code came from; none where that is gone, or has other code by now.
  Current = fun(Module) ->
    case code:which(Module) of
      Path when is_list(Path), Path =/= [] ->
        case catch Beam(Path) of
          Bytes when is_binary(Bytes) ->
            case code:module_md5(Bytes) =:= Loaded(Module) of true -> {Module, Path, Bytes}; false -> none end;
          _ -> none
        end;
      _ -> none
    end
  end,

  %% Who runs what ------------------------------------------------------------------------------------------------------

  %% Who runs old code of a module: asked without a collection first, as most do not.
  Runs = fun(Module) ->
    Pids = processes(),
    Ask = fun(Among, Collect) ->
      Count = length(Among),
      Answers = lists:zipwith3(fun erlang:check_process_code/3, Among, lists:duplicate(Count, Module),
                               lists:duplicate(Count, [{allow_gc, Collect}])),
      case lists:usort(Answers) of
        [false] -> [];
        [] -> [];
        _ -> [Pid || {Pid, Answer} <- lists:zip(Among, Answers), Answer =/= false]
      end
    end,
    Ask(Ask(Pids, false), true)
  end,
  Purge = fun(Module) -> not erlang:check_old_code(Module) orelse code:soft_purge(Module) end,

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
  #{peek := Peek, ids := Ids, change := ChangeTree, start := StartTree, take_back := TakeBack, restore := Restore,
    finish := Finish} = SupervisedChildren,

  %% Prepared, while everybody runs -------------------------------------------------------------------------------------

  OnLoad = fun({Module, _, Bytes}) ->
    case erlang:prepare_loading(Module, Bytes) of
      {error, Reason} -> throw({error, {Reason, Module}});
      Code -> erlang:has_prepared_code_on_load(Code)
    end
  end,
  Ready = fun([]) -> none;
             (Triples) ->
    case code:prepare_loading(Triples) of
      {ok, Prepared} -> Prepared;
      {error, Reasons} -> throw({error, {not_loadable, Reasons}})
    end
  end,
  Prepare = fun(#{load := Load, remove := Remove, change := Change0} = Stop, Known) ->
    PathOf = fun({_, Path}) -> Path; ({Module, App, Version}) -> File(Module, App, Version) ++ ".beam" end,
    New = [{element(1, Each), Path, Beam(Path)} || Each <- Load, Path <- [PathOf(Each)]],
    Changed = [Each || {Module, _, Bytes} = Each <- New, code:module_md5(Bytes) =/= Loaded(Module)],
    Own = [Module || {Module, App, _} <- Load, lists:member(App, [kernel, stdlib])],
    [throw({error, {sticky, Module}}) || {Module, _, _} <- Changed, code:is_sticky(Module) orelse lists:member(Module, Own)],
    Fresh = [Module || {Module, _, _} <- Changed],
    Touched = Fresh ++ Remove,
    %% What nobody uses any more may be waiting to be collected.
    case [Module || Module <- Touched, IsHeld(Module, Known)] of
      [] -> ok;
      Before -> [Renew(Module, Known) || Module <- Before], lists:foreach(fun erlang:garbage_collect/1, processes())
    end,
    case Holders(Touched, Known) of
      [] -> ok;
      Holding -> throw({error, {old_funs, Holding}})
    end,
    case [{Module, Runs(Module)} || Module <- Touched, not Purge(Module)] of
      [] -> ok;
      Lingering -> throw({error, {old_code, Lingering}})
    end,
    {Early, Later} = lists:partition(fun({Module, _, _}) ->
      case lists:keyfind(Module, 1, Load) of {_, App, _} -> lists:keymember(App, 1, maps:get(starts, Stop)); _ -> false end
    end, Changed),
    {Late, Plain} = lists:partition(OnLoad, Later),
    %% Everything that goes back has to be there now: a file may be gone, or of another version, when it is wanted.
    Old = [{Module, Current(Module)} || Module <- Touched, Loaded(Module) =/= none],
    Wanted = [Current0 || {Module, _, _} <- Plain, {_, Current0} <- [lists:keyfind(Module, 1, Old)]],
    Back = case lists:member(none, Wanted) of
      true -> none;
      false -> {Ready(Wanted), [Module || {Module, _, _} <- Plain, Loaded(Module) =:= none]}
    end,
    OldVsns = [{Module, LoadedVsn(Module)} || {Module, _, _} <- New, Loaded(Module) =/= none],
    NewVsns = [{Module, Vsn(Bytes)} || {Module, _, Bytes} <- New],
    Of = fun(Module, Vsns) -> proplists:get_value(Module, Vsns) end,
    Paths = [case Each of
      {app, App, Version} -> {App, Folder(App, Version), code:lib_dir(App)};
      _ -> Each
    end || Each <- maps:get(paths, Stop)],
    Children = [{Pid, case Peek(Pid) of {static, M, A} -> Ids(M, A); _ -> unknown end}
                || maps:get(children, Stop),
                   {_, [One | _] = Pids} <- Started([Module || {Module, _, _} <- Change0, lists:member(Module, Fresh)], processes()),
                   IsSupervisor(One), Pid <- Pids],
    From = fun(Module) -> Of(Module, OldVsns) end,
    To = fun(Module) -> Of(Module, NewVsns) end,
    Changes = fun(Modes, OldVsn) ->
      [{Module, OldVsn(Mode, Module), Extra} || {Module, Mode, Extra} <- Change0, lists:member(Mode, Modes)]
    end,
    %% Who has funs of code that becomes old, and whether they can be renewed.
    KindsOf = fun(Module) -> case lists:keyfind(Module, 1, Changed) of {_, _, Bytes} -> FunsOf(Bytes); false -> none end end,
    Used = [{Module, Code} || {Module, {_, _, Bytes}} <- Old, [_ | _] = Code <- [FunsOfLoaded(Module, FunsOf(Bytes))]],
    Held = [{Module, Who, Fits(proplists:get_value(Module, Used), KindsOf(Module))} || {Module, Who} <- HoldersAmong(Used)],
    Funs = [{Module, Of0} || {Module, _, Bytes} <- Changed ++ [Each || {_, {_, _, _} = Each} <- Old], Of0 <- [FunsOf(Bytes)],
                             Of0 =/= none],
    Stop#{prepared => Ready(Plain), late => Late, back => Back, touched => Touched,
          funs => lists:foldl(fun({Module, Of0}, All) -> maps:update_with(Module, fun(Some) -> [Of0 | Some] end, [Of0], All) end,
                              #{}, Funs),
          paths => Paths, held_funs => Held, fresh => [Module || {Module, _, _} <- Later], ids => maps:from_list(Children),
          starts => [{App, Type, Folder(App, Version), Early} || {App, Version, Type} <- maps:get(starts, Stop)],
          %% What is changed before the load and behind it, and how each is changed back.
          before => Changes([down], fun(_, Module) -> {down, To(Module)} end),
          behind => Changes([up, static], fun(up, Module) -> From(Module); (static, Module) -> {down, To(Module)} end),
          back_by_new => Changes([up], fun(_, Module) -> {down, From(Module)} end),
          back_by_old => Changes([down, static], fun(_, Module) -> To(Module) end)}
  end,

  %% In the stop --------------------------------------------------------------------------------------------------------

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
  %% The script changes the paths only at its point of no return, but an on_load or a code_change may look into priv_dir.
  Point = fun(Paths) ->
    [case Each of {App, Path, _} -> code:replace_path(App, Path); {From, To} -> code:add_patha(To), code:del_path(From) end
     || Each <- Paths]
  end,
  PointBack = fun(Paths) ->
    [case Each of
      {App, _, Before} when is_list(Before) -> code:replace_path(App, filename:join(Before, "ebin"));
      {_, Path, _} -> code:del_path(Path);
      {From, To} -> code:add_patha(From), code:del_path(To)
    end || Each <- Paths]
  end,
  Load = fun(none) -> ok; (Prepared) -> code:finish_loading(Prepared) end,
  %% {ok, [{Module, Reason}] of those that were not loaded}; or, where the first was not, that alone.
  LoadLate = fun([], _) -> {ok, []};
                ([{First, _, _} | _] = Late, Restarts) ->
    Give = fun({Module, Path, Bytes}) -> {Module, code:load_binary(Module, Path, Bytes)} end,
    case Give(hd(Late)) of
      {_, {error, Reason}} when not Restarts -> {first, [{First, Reason}]};
      Given -> {ok, [{Module, Reason} || {Module, {error, Reason}} <- [Given | lists:map(Give, tl(Late))]]}
    end
  end,
  %% Whoever could not be asked did not do it.
  AskAll = fun(Pids, What) ->
    try AskMany(Pids, What, Timeout) catch Class:Why -> [{Pid, {Class, Why}} || Pid <- Pids] end
  end,
  %% Each module's processes in the order of the relup; [{Module, Pid, Reason}] of those that failed.
  Change = fun(Changes, Found) ->
    [{Module, Pid, Reason}
     || {Module, OldVsn, Extra} <- Changes, Pids <- [proplists:get_value(Module, Found, [])],
        {Pid, Reason} <- AskAll(Pids, {change_code, Module, OldVsn, Extra}), Reason =/= noproc]
  end,
  Without = fun(Failed, Found) ->
    Bad = [Pid || {_, Pid, _} <- Failed],
    [{Module, Pids -- Bad} || {Module, Pids} <- Found]
  end,
  %% The same where children of supervisors are ours: {Failed, Todos}. States are those of supervisors that have children of theirs.
  ChangeTrees = fun(Changes, Found, _, #{children := false}) -> {Change(Changes, Found), []};
                   (Changes, Found, States, #{ids := Known, remove := Going, fresh := Fresh}) ->
    Each = fun({Module, OldVsn, Extra} = One, {Failed, Todos}) ->
      Trees = [Pid || Pid <- proplists:get_value(Module, Found, []), lists:keymember(Pid, 1, States)],
      Answers = [{Pid, ChangeTree(Pid, OldVsn, Extra, maps:get(Pid, Known, unknown), Going)}
                 || Pid <- Trees, lists:member(Module, Fresh)],
      {Failed ++ Change([One], Without([{Module, Pid, own} || Pid <- Trees], Found)) ++
         [{Module, Pid, Reason} || {Pid, {error, Reason}} <- Answers, Reason =/= noproc],
       Todos ++ [{Module, Pid, Todo} || {Pid, {ok, Todo}} <- Answers]}
    end,
    lists:foldl(Each, {[], []}, Changes)
  end,
  %% {Started, NotStarted}: it ends with the first that cannot be started, unless it has to go forward.
  StartTrees = fun Next([], Started0, Missing, _) -> {Started0, Missing};
                   Next([{Module, Pid, Todo} | Others], Started0, Missing, Forward) ->
    case StartTree(Pid, Todo) of
      {ok, Some} -> Next(Others, [{Pid, Some} | Started0], Missing, Forward);
      {error, Reason, Some} when Forward -> Next(Others, [{Pid, Some} | Started0], [{Module, Pid, Reason} | Missing], Forward);
      {error, Reason, Some} -> {[{Pid, Some} | Started0], [{Module, Pid, Reason}]}
    end
  end,
  %% How long it may take to purge what has just become old, in ms: each module asks every process.
  PurgeTime = fun(Modules) -> length(Modules) * length(processes()) div 500 end,

  %% Why it cannot go back, once all are suspended and the new code is loaded; none where it can.
  Obstacle = fun(#{back := none}) -> no_way_back;
                (#{fresh := Fresh, funs := Funs}) ->
    case {PurgeTime(Fresh) > maps:get(max_stand_still, Options), [Module || Module <- Fresh, IsHeld(Module, Funs)]} of
      {true, _} -> too_slow;
      {_, [_ | _]} -> funs_of_old_code_in_use;
      _ -> none
    end
  end,
  %% Nobody kills a supervisor: its children would go with it, and the node with the first one of an application.
  Killed = fun(Rows) ->
    Bad = [Row || {_, Pid, _} = Row <- Rows, not IsSupervisor(Pid)],
    [exit(Pid, kill) || {_, Pid, _} <- Bad],
    Bad
  end,
  %% Back: what was started is ended, those that were changed are changed back by the new code, as on the way down, and then the old
  %% code is loaded again: {ok, Killed}, or {Obstacle, Killed}, and then all is new. Who cannot be changed to what runs then is killed.
  GoBack = fun(#{back := {Old, Added}, behind := Behind, fresh := Fresh} = Stop, #{found := Found, states := States}, Failed, Begun) ->
    Changed = Without(Failed, Found),
    Others = Without([{supervisor, Pid, restored} || {Pid, _} <- States], Changed),
    [TakeBack(Pid, Some) || {Pid, Some} <- Begun],
    Stay = Change(maps:get(back_by_new, Stop), Others),
    Back = Without(Stay, Others),
    case lists:all(Purge, Fresh) andalso Load(Old) of
      ok ->
        Lost = Change(maps:get(back_by_old, Stop), Back),
        [Restore(Pid, State, proplists:get_value(Pid, Begun, #{made => [], ended => []})) || {Pid, State} <- States],
        [begin code:delete(Module), code:soft_purge(Module) end || Module <- Added],
        {ok, Killed(Stay ++ Lost)};
      _ -> {old_code_in_use, Killed(Change(Behind, Back))}
    end
  end,

  %% With the processes of Found suspended: {ok, Restarted, Report}, or it throws {refused, Why, Report}. All new, or all old.
  Stopped = fun(#{before := Before, behind := Behind, paths := Paths, late := Late} = Stop,
                #{found := Found, states := States} = All, Silent) ->
    Restarts = maps:get(on_failed, Options) =:= restart orelse not maps:get(cancels, Stop),
    %% A change that is late may still take effect, which nothing can take back then: only its supervisor can help.
    Refuse = fun(Why, Failed, Lost, Pointed) ->
      Slow = Killed([Row || {_, _, timeout} = Row <- Failed]),
      Pointed andalso PointBack(Paths),
      throw({refused, Why, #{killed => Slow ++ Lost}})
    end,
    Unchange = [Row || {Module, _, _} = Row <- maps:get(back_by_old, Stop), lists:keymember(Module, 1, Before)],
    Silent =:= [] orelse Restarts orelse Refuse({suspend, Silent}, [], [], false),
    T1 = Now(),
    FailedBefore = Change(Before, Found),
    case FailedBefore =:= [] orelse Restarts of
      true -> ok;
      false -> Refuse({code_change, FailedBefore}, FailedBefore, Killed(Change(Unchange, Without(FailedBefore, Found))), false)
    end,
    T2 = Now(),
    Point(Paths),
    case Load(maps:get(prepared, Stop)) of
      ok -> ok;
      {error, Reasons} -> Refuse({not_loaded, Reasons}, [], Killed(Change(Unchange, Without(FailedBefore, Found))), true)
    end,
    Return = fun(Way, Why, Failed, Begun) ->
      case Obstacle(Stop) of
        none -> case GoBack(Way, All, Failed, Begun) of {ok, Lost} -> Refuse(Why, Failed, Lost, true); Other -> Other end;
        Other -> {Other, []}
      end
    end,
    {NotLoaded, Lost1} = case LoadLate(Late, Restarts) of
      {ok, Missing} -> {Missing, []};
      %% What has been loaded was prepared, and that can go back.
      {first, First} ->
        {_, Gone} = Return(Stop#{behind := [], back_by_new := [], back_by_old := Unchange}, {on_load, First}, [], []),
        {First ++ element(2, LoadLate(tl(Late), true)), Gone}
    end,
    T3 = Now(),
    {FailedBehind, Todos} = ChangeTrees(Behind, Found, States, Stop),
    T4 = Now(),
    %% All is new from here on where one of them says that it has to be: what is in the way.
    Ahead = case {Restarts, Late} of {true, _} -> restarts; {_, [_ | _]} -> no_way_back; _ -> none end,
    {Back, Lost2} = case FailedBehind of
      [_ | _] when Ahead =:= none -> Return(Stop, {code_change, FailedBehind}, FailedBehind, []);
      _ -> {Ahead, []}
    end,
    %% What cannot go back starts those that it can.
    Forward = case [Todo || {_, _, #{new := [_ | _]} = Todo} <- Todos] ++ [Todo || {_, _, #{replaced := [_ | _]} = Todo} <- Todos] of
      [_ | _] when Back =:= none -> Obstacle(Stop);
      _ -> Back
    end,
    {Begun, NotStarted, Lost3} = case StartTrees(Todos, [], [], Forward =/= none) of
      {Some, [_ | _] = Missed} when Forward =:= none ->
        {_, Gone3} = Return(Stop, {children, Missed}, [], Some),
        {Some3, Missed3} = StartTrees(Todos, [], [], true),
        {Some3, Missed3, Gone3};
      {Some, Missed} -> {Some, Missed, []}
    end,
    %% Each is killed where it is suspended, and its supervisor starts it anew in the new code.
    Restarted = Killed(FailedBefore ++ FailedBehind) ++ Lost1 ++ Lost2 ++ Lost3,
    [Finish(Pid, Todo) || {_, Pid, Todo} <- Todos],
    [code:delete(Module) || Module <- maps:get(remove, Stop)],
    {ok, Restarted, #{
      load => T3 - T2, change => (T2 - T1) + (T4 - T3), children => Now() - T4, not_loaded => NotLoaded, back => Back,
      unchanged => (FailedBefore ++ FailedBehind) -- Restarted, not_started => NotStarted,
      started => lists:sum([length(Made) || {_, #{made := Made}} <- Begun]),
      ended => lists:sum([length(Leaving) || {_, _, #{leaving := Leaving}} <- Todos])
    }}
  end,
  %% Supervisors are suspended last and resumed first: nobody else can hang on one of them then.
  Swap = fun(Stop, Before) ->
    Found = Find(Stop),
    Owned = lists:usort(lists:append([Pids || {_, Pids} <- Found])) -- Before,
    Supervisors = lists:usort(lists:append([Pids || {_, [One | _] = Pids} <- Found, IsSupervisor(One)])) -- Before,
    Workers = Owned -- Supervisors,
    T0 = Now(),
    InTheStop = fun() ->
      Silent = [Each || {_, Reason} = Each <- AskAll(Workers, suspend) ++ AskAll(Supervisors, suspend),
                        Reason =/= noproc],
      T1 = Now(),
      %% A supervisor that is changed back would keep the children that it has learned of: it gets the state that it had.
      States = [{Pid, State} || Pid <- Supervisors, not lists:keymember(Pid, 1, Silent), {static, _, _} <- [Peek(Pid)],
                                State <- try [sys:get_state(Pid, Timeout)] catch _:_ -> [] end],
      {Kind, What, Report} = try Stopped(Stop, #{found => Found, states => States}, Silent) catch throw:Refusal -> Refusal end,
      {Kind, What, Report#{suspend => T1 - T0}}
    end,
    {Outcome, Why, Report0} = try InTheStop() catch Class:Problem -> {broken, {Class, Problem}, #{}} end,
    T2 = Now(),
    %% All that may have been suspended are resumed, whatever has happened, and where there is no room for a mailbox, too.
    Stuck = try [Pid || {Pid, timeout} <- AskMany(Supervisors, resume, Timeout) ++ AskMany(Workers, resume, Timeout)]
            catch _:_ -> [Pid ! {system, {self(), make_ref()}, resume} || Pid <- Supervisors ++ Workers], [] end,
    T3 = Now(),
    {Outcome, Why, Report0#{processes => length(Owned), resume => T3 - T2, stand_still => T3 - T0, silent => Stuck}}
  end,

  %% Afterwards, and in between -----------------------------------------------------------------------------------------

  %% The relup's call fails: its gen_server:call learns that we are gone, though we are not.
  Fail = fun({Pid, Call}, Reason) ->
    Ref = case Call of [alias | Alias] -> Alias; _ -> Call end,
    Pid ! {'DOWN', Ref, process, self(), {edeliver_relup, Reason}}
  end,
  %% Applications that are added, each with its code: {ok, Begun}, or {error, Reason}, and they are as they were.
  StopApplication = fun({App, Path, Loaded0, WasLoaded}) ->
    application:stop(App),
    WasLoaded orelse application:unload(App),
    [begin code:delete(Module), code:soft_purge(Module) end || {Module, _, _} <- Loaded0],
    code:del_path(Path)
  end,
  StartApplications = fun Next([], Begun) -> {ok, Begun};
                          Next([{App, Type, Path, Code} | Others], Begun) ->
    case lists:keymember(App, 1, application:which_applications()) of
      true -> Next(Others, Begun);
      false ->
        WasLoaded = lists:keymember(App, 1, application:loaded_applications()),
        code:add_pathz(Path),
        One = {App, Path, [Each || {_, File0, _} = Each <- Code, filename:dirname(File0) =:= Path], WasLoaded},
        Failed = [{Module, Reason} || {Module, File0, Bytes} <- element(3, One),
                                      {error, Reason} <- [code:load_binary(Module, File0, Bytes)]],
        case Failed =:= [] andalso application:start(App, Type) of
          ok -> Next(Others, [One | Begun]);
          Problem ->
            lists:foreach(StopApplication, [One | Begun]),
            {error, {not_started, App, case Problem of {error, Reason} -> Reason; false -> Failed end}}
        end
    end
  end,
  SwapWith = fun(Stop, Held) ->
    case StartApplications(maps:get(starts, Stop), []) of
      {error, Reason} -> {refused, Reason, #{}};
      {ok, Begun} ->
        Result = try Swap(Stop, Held) catch Class:Problem -> {broken, {Class, Problem}, #{}} end,
        element(1, Result) =:= refused andalso lists:foreach(StopApplication, Begun),
        Result
    end
  end,
  %% Behind the point of no return a call that fails restarts the node: the swap stays while one may come, though its guard is gone.
  IsAsked = fun(#{armed := true, stops := Left, caller := Caller}) when Left =/= #{} ->
                   Pid = case Caller of none -> whereis(release_handler); _ -> Caller end,
                   not lists:any(fun(#{cancels := Cancels}) -> Cancels end, maps:values(Left)) andalso is_pid(Pid) andalso
                     case process_info(Pid, current_function) of
                       {current_function, {gen_server, loop, _}} -> false;
                       undefined -> false;
                       _ -> true
                     end;
               (_) -> false
            end,
  Perform = fun({Caller, _} = From, Id, #{stops := Left} = S) ->
    case maps:take(Id, Left) of
      {Stop, Others} ->
        process_flag(priority, high),
        {Kind, What, Report} = SwapWith(Stop, maps:get(held, S)),
        process_flag(priority, normal),
        case Kind =:= ok orelse not maps:get(cancels, Stop) of
          true -> gen_server:reply(From, ok);
          false -> Fail(From, What)
        end,
        %% Where it went back, the new code is the old one now.
        S#{stops := Others, caller := Caller, unpurged := maps:get(unpurged, S) ++ maps:get(touched, Stop),
           funs := maps:merge(maps:get(funs, S), maps:get(funs, Stop)),
           reports := [{Id, {Kind, What, Report}} | maps:get(reports, S)]};
      error -> Fail(From, {no_such_swap, Id}), S
    end
  end,
  %% Old code does no harm until the next swap, so there is time: a module takes a fifth of what a purge of it takes.
  PurgeOne = fun(#{unpurged := [Module | Others], lingering := Lingering, funs := Funs} = S) ->
    Before = Now(),
    %% Who runs old code can make a fun of it: it has to be gone before the funs are counted.
    IsFree = fun() -> not IsHeld(Module, Funs) orelse begin Renew(Module, Funs), not IsHeld(Module, Funs) end end,
    Free = maps:get(Module, Funs, []) =:= [] orelse
           not erlang:check_old_code(Module) orelse Runs(Module) =:= [] andalso IsFree(),
    Purged = Free andalso Purge(Module),
    Pause = (Now() - Before) div 1000 * 4 + 1,
    S#{unpurged := Others, lingering := case Purged of true -> Lingering; false -> Lingering ++ [Module] end, pause := Pause}
  end,
  Loop = fun Loop(#{state := State} = S) ->
    Due = case S of
      #{state := purging, unpurged := [_ | _], pause := Pause} -> Pause;
      #{state := purging, collect := [_ | _]} -> 2;
      #{state := purging, lingering := [_ | _], collect := none} -> 0;
      #{state := purging, lingering := [_ | _], rounds := Rounds0} when Rounds0 > 0 -> 5000;
      #{state := purging, lingering := [_ | _]} -> 60000;
      #{state := purging} -> case IsAsked(S) of true -> 200; false -> 0 end;
      _ -> infinity
    end,
    %% No receive here has a time of its own: see guard.erl.
    Timer = case Due of infinity -> none; _ -> erlang:start_timer(Due, self(), due) end,
    Message = receive Any -> Any end,
    _ = [erlang:cancel_timer(Timer) || Timer =/= none],
    case Message of
      {timeout, Timer, due} ->
        case S of
          #{unpurged := [_ | _]} -> Loop(PurgeOne(S));
          #{lingering := []} -> case IsAsked(S) of true -> Loop(S); false -> ok end;
          %% Many may have used a fun of old code, and nobody has it any more: once, all are collected, some at a time.
          #{lingering := Lingering, collect := none, funs := Funs} ->
            Holds = lists:any(fun(Module) -> IsHeld(Module, Funs) end, Lingering),
            Loop(S#{collect := case Holds of true -> processes(); false -> [] end});
          #{lingering := Lingering, collect := [_ | _] = Pids} ->
            {Some, Others} = lists:split(min(100, length(Pids)), Pids),
            lists:foreach(fun erlang:garbage_collect/1, Some),
            Loop(case Others of
              [] -> S#{collect := [], unpurged := Lingering, lingering := []};
              _ -> S#{collect := Others}
            end);
          #{lingering := Lingering, rounds := Rounds} ->
            Rounds =:= 0 andalso
              logger:log(warning, "edeliver_relup: old code of ~0tp is still in use, and not purged", [Lingering]),
            Loop(S#{unpurged := Lingering, lingering := [], rounds := Rounds - 1, pause := 0})
        end;
      {'$gen_call', From, {swap, _}} when State =:= prepared -> gen_server:reply(From, ok), Loop(S);
      {'$gen_call', From, {swap, Id}} when State =:= armed -> Loop(Perform(From, Id, S));
      {'$gen_call', From, {swap, Id}} ->
        case S of
          #{armed := true, stops := #{Id := #{cancels := false}}} -> Loop(Perform(From, Id, S));
          _ -> Fail(From, {too_late, Id}), Loop(S)
        end;
      {'$gen_call', From, {Token, {arm, Held}}} when State =:= prepared ->
        gen_server:reply(From, ok), Loop(S#{state := armed, armed := true, held := Held});
      {'$gen_call', From, {Token, disarm}} when State =:= armed -> gen_server:reply(From, ok), Loop(S#{state := prepared, armed := false});
      {'$gen_call', From, {Token, report}} -> gen_server:reply(From, lists:reverse(maps:get(reports, S))), Loop(S);
      {'$gen_call', From, {Token, leave}} -> gen_server:reply(From, ok), Loop(S#{state := purging});
      {'$gen_call', From, who} ->
        Old = maps:get(unpurged, S) ++ maps:get(lingering, S),
        Funs = maps:get(funs, S),
        Lingers = [Module || State =:= purging, Module <- Old, erlang:check_old_code(Module)],
        Who = Holders(Lingers, Funs),
        gen_server:reply(From, {swap, State, [{Module, Runs(Module), proplists:get_value(Module, Who, [])} || Module <- Lingers]}),
        Loop(S);
      {'$gen_call', From, held} ->
        Funs = maps:get(funs, S),
        gen_server:reply(From, {held, [Module || {Module, _} <- maps:to_list(Funs), IsHeld(Module, Funs)]}), Loop(S);
      {'$gen_call', From, take_over} when State =:= purging ->
        case IsAsked(S) of
          true -> gen_server:reply(From, busy), Loop(S);
          false ->
            unregister(edeliver_relup_swap),
            gen_server:reply(From, {taken, maps:get(unpurged, S) ++ maps:get(lingering, S), maps:get(funs, S)})
        end;
      {'$gen_call', From, _} -> gen_server:reply(From, {error, unknown}), Loop(S);
      {'DOWN', _, process, Guard, _} -> Loop(S#{state := purging});
      _ -> Loop(S)
    end
  end,
  {Swapper, Monitor} = spawn_monitor(fun() ->
    group_leader(whereis(init), self()),
    %% The swap before this one may still have old code to purge, and knows its funs.
    Taken = case whereis(edeliver_relup_swap) of
      undefined -> {taken, [], #{}};
      Other ->
        try gen_server:call(Other, take_over, 10000) catch exit:{Why, _} when Why =:= noproc; Why =:= normal -> {taken, [], #{}};
                                                           _:_ -> busy end
    end,
    monitor(process, Guard),
    Prepared = try
      case Taken of
        {taken, _, Funs0} ->
          true = register(edeliver_relup_swap, self()),
          maps:from_list([{Id, Prepare(Stop, Funs0)} || #{id := Id} = Stop <- Stops]);
        _ -> {error, active}
      end
    catch
      throw:Refusal -> Refusal;
      Class:Reason -> {error, {Class, Reason}}
    end,
    Initial = #{armed => false, caller => none, held => [], reports => [], lingering => [], collect => none, rounds => 60, pause => 0},
    case Prepared of
      #{} ->
        Ready0 = maps:map(fun(_, Stop) -> Stop#{looked => Look(Stop, {[], []})} end, Prepared),
        Summary = [{Id, #{modules => length(maps:get(touched, Stop)), back => maps:get(back, Stop) =/= none,
                          funs => maps:get(held_funs, Stop),
                          processes => [{Module, length(Pids)} || {Module, Pids} <- Find(Stop)]}}
                   || {Id, Stop} <- lists:sort(maps:to_list(Ready0))],
        Parent ! {Tag, {ok, self(), Summary}},
        {taken, Left0, Known0} = Taken,
        Loop(Initial#{state => prepared, stops => Ready0, unpurged => Left0, funs => Known0});
      {error, active} -> Parent ! {Tag, Prepared};
      _ ->
        Parent ! {Tag, Prepared},
        {taken, Left0, Known0} = Taken,
        Loop(Initial#{state => purging, stops => #{}, unpurged => Left0, funs => Known0})
    end
  end),
  receive
    {Tag, Answer} -> demonitor(Monitor, [flush]), Answer;
    {'DOWN', Monitor, process, Swapper, Died} -> {error, {died, Died}}
  end.
