%% What is done in a stop: suspend, change, load, start children, resume; or back, and then nothing has changed. Whoever evaluates it
%% gives it the other parts, and gets fun(Stop, Before) -> {ok, Restarted, Report} | {refused, Reason, Report} | {broken, Reason, Report}.
%% Before are processes that are suspended already, and stay so.
-module(swap_stop).
-export([run/1]).

run(Options) ->
  fun(AskMany, #{is_held := IsHeld}, #{purge := Purge}, #{find := Find, is_supervisor := IsSupervisor},
      #{peek := Peek, change := ChangeTree, start := StartTree, take_back := TakeBack, restore := Restore, finish := Finish}) ->
    Now = fun() -> erlang:monotonic_time(microsecond) end,
    Timeout = maps:get(timeout, Options),
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
    %% The same where children of supervisors are ours: {Failed, Todos, Left}. States are those of supervisors that have children of theirs.
    %% Where neither the old nor the new init can run again the supervisor is left as it is.
    ChangeTrees = fun(Changes, Found, _, #{children := false}) -> {Change(Changes, Found), [], []};
                     (Changes, Found, States, #{ids := Known, remove := Going, fresh := Fresh}) ->
      Each = fun({Module, OldVsn, Extra} = One, {Failed, Todos, Left}) ->
        Trees = [Pid || Pid <- proplists:get_value(Module, Found, []), lists:keymember(Pid, 1, States)],
        Answers = [{Pid, case {Ids, ChangeTree(Pid, OldVsn, Extra, Ids, Going)} of
                     {no_init, {error, Reason}} when Reason =/= noproc, Reason =/= timeout -> left;
                     {_, Answer} -> Answer
                   end} || Pid <- Trees, lists:member(Module, Fresh), Ids <- [maps:get(Pid, Known, unknown)]],
        {Failed ++ Change([One], Without([{Module, Pid, own} || Pid <- Trees], Found)) ++
           [{Module, Pid, Reason} || {Pid, {error, Reason}} <- Answers, Reason =/= noproc],
         Todos ++ [{Module, Pid, Todo} || {Pid, {ok, Todo}} <- Answers],
         Left ++ [{Module, Pid, no_init} || {Pid, left} <- Answers]}
      end,
      lists:foldl(Each, {[], [], []}, Changes)
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
        %% Of one that was late nobody knows whose state it has.
        _ -> {old_code_in_use, Killed([Row || {_, _, timeout} = Row <- Stay] ++ Change(Behind, Back))}
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
      {FailedBehind, Todos, Left} = ChangeTrees(Behind, Found, States, Stop),
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
        at => T3, load => T3 - T2, change => (T2 - T1) + (T4 - T3), children => Now() - T4, not_loaded => NotLoaded, back => Back,
        unchanged => ((FailedBefore ++ FailedBehind) -- Restarted) ++ Left, not_started => NotStarted,
        started => lists:sum([length(Made) || {_, #{made := Made}} <- Begun]),
        ended => lists:sum([length(Leaving) || {_, _, #{leaving := Leaving}} <- Todos])
      }}
    end,
    %% Supervisors are suspended last and resumed first: nobody else can hang on one of them then.
    fun(Stop, Before) ->
      Found = Find(Stop),
      Owned = lists:usort(lists:append([Pids || {_, Pids} <- Found])) -- Before,
      Supervisors = lists:usort(lists:append([Pids || {_, [One | _] = Pids} <- Found, IsSupervisor(One)])) -- Before,
      Workers = Owned -- Supervisors,
      %% Nodes of a rollout begin at the same moment; who is late begins at once.
      case maps:get(at, Stop) of
        now -> ok;
        At -> timer:sleep(max(0, min(At - Now(), 2000000)) div 1000)
      end,
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
    end
  end.
