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
%% Named is [{Module, Pid, Supervisor}]: who supervision trees name, and nothing else tells; Options #{timeout, on_failed => rollback |
%% restart, max_stand_still}. Gives {ok, Pid, Found} | {error, Reason}. Its parts do what they say: what is done in a stop is swap_stop.
%%
%% It answers gen_server calls:
%%   {Token, {arm, Held, At}}  ok: the next {swap, Id} is meant, and not only asked by check_install_release, which is answered ok;
%%                         Held are suspended already, and not resumed by a swap; At is when it begins: now, or us of the monotonic time
%%   {Token, disarm}       ok | {error, swapping}
%%   {Token, report}       [{Id, Report}], the oldest first
%%   {Token, leave}        ok: gone, unless there is something to be purged
%%   {swap, Id}            from the relup: ok, or it fails with {edeliver_relup, Reason}, and nothing has changed
%%   who                   {swap, State, Lingering}: prepared | armed | purging; [{Module, Pids, Holders}] of old code that is not
%%                         purged: who runs it, and who has funs of it, [{process, Pid} | {table, Name} | {persistent_term, Key}]
%%   held                  {held, [Module]}: not to be purged, since somebody has funs of their old code
%%   take_over             {taken, Unpurged, Funs}, while purging: it is gone, and the next swap has its work
-module(swap).
-export([run/11]).
-parts([release_files, ask_many, old_funs, supervised_children, old_code, changed_processes, added_applications, swap_stop]).
-compile(nowarn_deprecated_catch).

run(Guard, Token, Stops, ReleaseFiles, AskMany, OldFuns, SupervisedChildren, OldCode, ChangedProcesses, AddedApplications, SwapStop) ->
  Parent = self(),
  Tag = make_ref(),
  Now = fun() -> erlang:monotonic_time(microsecond) end,

  #{runs := Runs, purge := Purge} = OldCode,
  #{started := Started, look := Look, find := Find, is_supervisor := IsSupervisor} = ChangedProcesses,
  #{peek := Peek, ids := Ids} = SupervisedChildren,
  #{start := StartApplications, stop := StopApplications} = AddedApplications,
  Swap = SwapStop(AskMany, OldFuns, OldCode, ChangedProcesses, SupervisedChildren),

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

  %% Afterwards, and in between -----------------------------------------------------------------------------------------

  %% The relup's call fails: its gen_server:call learns that we are gone, though we are not.
  Fail = fun({Pid, Call}, Reason) ->
    Ref = case Call of [alias | Alias] -> Alias; _ -> Call end,
    Pid ! {'DOWN', Ref, process, self(), {edeliver_relup, Reason}}
  end,
  SwapWith = fun(Stop, Held) ->
    case StartApplications(maps:get(starts, Stop)) of
      {error, Reason} -> {refused, Reason, #{}};
      {ok, Begun} ->
        Result = try Swap(Stop, Held) catch Class:Problem -> {broken, {Class, Problem}, #{}} end,
        element(1, Result) =:= refused andalso StopApplications(Begun),
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
        {Kind, What, Report} = SwapWith(Stop#{at => maps:get(at, S)}, maps:get(held, S)),
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
      {'$gen_call', From, {Token, {arm, Held, At}}} when State =:= prepared ->
        gen_server:reply(From, ok), Loop(S#{state := armed, armed := true, held := Held, at := At});
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
    Initial = #{armed => false, caller => none, held => [], at => now, reports => [], lingering => [], collect => none, rounds => 60, pause => 0},
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
