%% The swap: gives many modules and their processes new code at once, from inside the node. step/swap.lua starts it.
%%
%% A process of its own, registered as edeliver_relup_swap and bound to the guard: prepared while everybody runs, short in the
%% stop, purging afterwards. A relup calls it by {apply, {gen_server, call, [edeliver_relup_swap, {swap, Id}, infinity]}}. It
%% finishes what it has begun whatever becomes of the operator: all of a stop's modules and processes are new then, or all old.
%% Loads no code but the release's. What is done for every process is done by compiled functions.
%%
%% Stops is a list of #{id, cancels, load => [{Module, Application, Version}], remove => [Module],
%% change => [{Module, up | down | static, Extra}], suspend => [Module]}: a way down changes before the load, unless it is static.
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
-export([run/5]).
-compile(nowarn_deprecated_catch).

run(Guard, Token, Stops, Named, Options) ->
  Parent = self(),
  Tag = make_ref(),
  Now = fun() -> erlang:monotonic_time(microsecond) end,
  Timeout = maps:get(timeout, Options),

  %% Reading ------------------------------------------------------------------------------------------------------------

  Releases = case {application:get_env(sasl, releases_dir), os:getenv("RELDIR")} of
    {{ok, Set}, _} -> Set;
    {undefined, false} -> filename:join(code:root_dir(), "releases");
    {undefined, Set} -> Set
  end,
  Libraries = case file:consult(filename:join(Releases, "RELEASES")) of
    {ok, [Known]} -> maps:from_list([{{App, V}, Dir} || {release, _, _, _, Libs, _} <- Known, {App, V, Dir} <- Libs]);
    _ -> #{}
  end,
  Folder = fun(App, Version) ->
    Default = filename:join("lib", lists:concat([App, "-", Version])),
    filename:join([code:root_dir(), maps:get({App, Version}, Libraries, Default), "ebin"])
  end,
  File = fun(Module, App, Version) -> filename:join(Folder(App, Version), lists:concat([Module, ".beam"])) end,
  Beam = fun(Path) ->
    case erl_prim_loader:get_file(Path) of
      {ok, <<31, 139, _/binary>> = Zipped, _} -> zlib:gunzip(Zipped);
      {ok, Bytes, _} -> Bytes;
      error -> throw({error, {no_such_file, Path}})
    end
  end,
  Loaded = fun(Module) ->
    case erlang:module_loaded(Module) of true -> erlang:get_module_info(Module, md5); false -> none end
  end,
  %% The module's vsn attribute, as release_handler hands it to code_change: of its code, or of what is loaded.
  Single = fun([One] = All) -> case misc_supp:is_string(All) of true -> All; false -> One end; (All) -> All end,
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

  %% Funs of old code ---------------------------------------------------------------------------------------------------

  %% Purged code takes its funs along: who calls one then gets a badfun. The emulator counts the funs of each kind, wherever they
  %% are: states, tables, persistent terms, messages, timers.
  FunsOf = fun(Bytes) ->
    case beam_lib:chunks(Bytes, ["FunT"]) of
      {ok, {_, [{_, <<_:32, Table/binary>>}]}} ->
        {code:module_md5(Bytes), [{Arity - Free, Index, Free, Uniq}
                                  || <<_:32, Arity:32, _:32, Index:32, Free:32, Uniq:32>> <= Table]};
      _ -> none
    end
  end,
  Encoded = fun(Term) -> <<131, Bytes/binary>> = term_to_binary(Term), Bytes end,
  References = fun(Module, Md5, {Arity, Index, Free, Uniq}) ->
    Body = iolist_to_binary([<<Arity, Md5/binary, Index:32, Free:32>>, Encoded(Module), Encoded(Index), Encoded(Uniq),
                             Encoded(self()), lists:duplicate(Free, <<106>>)]),
    One = binary_to_term(<<131, 112, (byte_size(Body) + 4):32, Body/binary>>),
    {refc, Count} = erlang:fun_info(One, refc),
    Count
  end,
  %% What is counted of a fun that nobody has: with free variables, and without, of which the code itself may have one.
  Unused = fun() ->
    {module, erl_lint} = code:ensure_loaded(erl_lint),
    {Md5, Table} = FunsOf(Beam(code:which(erl_lint))),
    Least = fun(Kinds) -> lists:min([References(erl_lint, Md5, Kind) || Kind <- Kinds]) end,
    {With, Without} = lists:partition(fun({_, _, Free, _}) -> Free > 0 end, Table),
    {Least(With), Least(Without)}
  end,
  Lowest = try Unused() catch _:_ -> {2, 2} end,
  %% The funs of a module's old code that somebody has; Known is #{Module => [{Md5, Kinds}]} of all code that may be old.
  OldFuns = fun(Module, Known) ->
    erlang:check_old_code(Module) andalso
      [{Md5, Kind} || {Md5, Kinds} <- maps:get(Module, Known, []), Md5 =/= Loaded(Module), {_, _, Free, _} = Kind <- Kinds,
                      References(Module, Md5, Kind) > case Free of 0 -> element(2, Lowest); _ -> element(1, Lowest) end]
  end,
  IsHeld = fun(Module, Known) -> not lists:member(OldFuns(Module, Known), [false, []]) end,
  %% Where some of those that hold such funs are: [{process, Pid} | {table, Name} | {persistent_term, Key}].
  Holders = fun(Module, Known) ->
    Until = Now() + 3000000,
    Kinds = case OldFuns(Module, Known) of false -> []; Some -> Some end,
    Md5s = lists:usort([Md5 || {Md5, _} <- Kinds]),
    Texts = [iolist_to_binary(io_lib:format("#Fun<~ts.~w.~w>", [Module, Index, Uniq])) || {_, {_, Index, _, Uniq}} <- Kinds],
    Shows = fun(Pid) ->
      case process_info(Pid, [backtrace, dictionary]) of
        [{_, Stack}, {_, Dictionary}] ->
          binary:match(Stack, Texts) =/= nomatch orelse binary:match(term_to_binary(Dictionary), Md5s) =/= nomatch;
        undefined -> false
      end
    end,
    Has = fun(Term) -> binary:match(term_to_binary(Term), Md5s) =/= nomatch end,
    Look = fun Look([], Found, _) -> Found;
               Look([{Name, Test} | Others], Found, Left) ->
      case Left > 0 andalso Now() < Until of
        false -> Found;
        true ->
          case catch Test() of true -> Look(Others, [Name | Found], Left - 1); _ -> Look(Others, Found, Left) end
      end
    end,
    Tables = [{{table, ets:info(Table, name)}, fun() -> ets:info(Table, size) < 100000 andalso Has(ets:tab2list(Table)) end}
              || Kinds =/= [], Table <- ets:all()],
    Terms = [{{persistent_term, Key}, fun() -> Has(Term) end} || Kinds =/= [], {Key, Term} <- persistent_term:get()],
    Processes = [{{process, Pid}, fun() -> Shows(Pid) end} || Kinds =/= [], Pid <- processes() -- [self()]],
    lists:reverse(Look(Terms ++ Tables ++ Processes, [], 10))
  end,

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

  %% Asking many --------------------------------------------------------------------------------------------------------

  %% Asks all at once; [] or [{Pid, Reason}] of those that failed: an answer that is not ok, noproc, or timeout.
  %% In slices, each with a mailbox of its own: else all of them would be ready to run at once, before anybody else had a turn, and
  %% one call would hold up a scheduler while it reads all answers.
  Slice = 5000,
  Slices = fun Cut(Pids) ->
    case length(Pids) =< Slice of true -> [Pids]; false -> {Some, Others} = lists:split(Slice, Pids), [Some | Cut(Others)] end
  end,
  Send = fun(Pids, What) ->
    Count = length(Pids),
    Box = spawn_opt(timer, sleep, [infinity], [link, {priority, low}, {message_queue_data, off_heap}]),
    Messages = lists:zip3(lists:duplicate(Count, system), lists:zip(lists:duplicate(Count, Box), lists:seq(1, Count)),
                          lists:duplicate(Count, What)),
    _ = lists:zipwith(fun erlang:send/2, Pids, Messages),
    {Pids, Count, Box}
  end,
  Answered = fun({_, _, Box}) -> {message_queue_len, Count} = process_info(Box, message_queue_len), Count end,
  Settle = fun Settle(_, 0) -> ok;
               Settle({_, Count, _} = Sent, Tries) ->
    case Answered(Sent) >= Count of true -> ok; false -> timer:sleep(1), Settle(Sent, Tries - 1) end
  end,
  Silents = fun({Pids, Count, _}, Answers) ->
    case length(Answers) of
      Count -> [];
      _ ->
        All = list_to_tuple(Pids),
        Given = ets:match_spec_run(Answers, ets:match_spec_compile([{{'$1', '_'}, [], ['$1']}])),
        [element(I, All) || I <- lists:seq(1, Count) -- Given]
    end
  end,
  %% [] or [{Pid, Reason}], of a slice whose time is up.
  Outcome = fun({Pids, _, Box} = Sent) ->
    {messages, Answers} = process_info(Box, messages),
    unlink(Box),
    exit(Box, kill),
    Refused = ets:match_spec_run(Answers, ets:match_spec_compile([{{'$1', '$2'}, [{'=/=', '$2', ok}], [{{'$1', '$2'}}]}])),
    All = case Refused of [] -> {}; _ -> list_to_tuple(Pids) end,
    [{element(I, All), Answer} || {I, Answer} <- Refused] ++
    [{Pid, case is_process_alive(Pid) of true -> timeout; false -> noproc end} || Pid <- Silents(Sent, Answers)]
  end,
  Request = fun(Pids, What, Wait) ->
    Add = fun(Some, Before) ->
      Sent = Send(Some, What),
      Before =:= [] orelse Settle(hd(Before), 10),
      [Sent | Before]
    end,
    Sents = lists:foldl(Add, [], Slices(Pids)),
    Until = Now() + Wait * 1000,
    Collect = fun Collect(Open, Before) ->
      Left = [Sent || {_, Count, _} = Sent <- Open, Answered(Sent) < Count],
      Sum = lists:sum(lists:map(Answered, Left)),
      if
        Left =:= [] -> ok;
        length(Left) < length(Open); Sum > Before -> timer:sleep(1), Collect(Left, Sum);
        true ->
          %% Nobody has answered for a while: those that are dead never will.
          Missing = fun({_, _, Box} = Sent) ->
            {messages, Answers} = process_info(Box, messages),
            lists:any(fun erlang:is_process_alive/1, Silents(Sent, Answers))
          end,
          case Now() < Until andalso lists:any(Missing, Left) of
            true -> timer:sleep(5), Collect(Left, Sum);
            false -> ok
          end
      end
    end,
    Collect(Sents, -1),
    lists:append(lists:map(Outcome, lists:reverse(Sents)))
  end,
  Ask = fun([], _, _) -> []; (Pids, What, Wait) -> Request(Pids, What, Wait) end,

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
    New = [{Module, Path, Beam(Path)} || {Module, App, Version} <- Load, Path <- [File(Module, App, Version)]],
    Changed = [Each || {Module, _, Bytes} = Each <- New, code:module_md5(Bytes) =/= Loaded(Module)],
    Own = [Module || {Module, App, _} <- Load, lists:member(App, [kernel, stdlib])],
    [throw({error, {sticky, Module}}) || {Module, _, _} <- Changed, code:is_sticky(Module) orelse lists:member(Module, Own)],
    Touched = [Module || {Module, _, _} <- Changed] ++ Remove,
    %% What nobody uses any more may be waiting to be collected.
    lists:any(fun(Module) -> IsHeld(Module, Known) end, Touched) andalso
      lists:foreach(fun erlang:garbage_collect/1, processes()),
    case [{Module, Holders(Module, Known)} || Module <- Touched, IsHeld(Module, Known)] of
      [] -> ok;
      Holding -> throw({error, {old_funs, Holding}})
    end,
    case [{Module, Runs(Module)} || Module <- Touched, not Purge(Module)] of
      [] -> ok;
      Lingering -> throw({error, {old_code, Lingering}})
    end,
    {Late, Plain} = lists:partition(OnLoad, Changed),
    %% Everything that goes back has to be there now: a file may be gone, or of another version, when it is wanted.
    Old = [Current(Module) || Module <- Touched, Loaded(Module) =/= none],
    Stays = [Module || {Module, _, _} <- Late],
    Back = case lists:member(none, Old) of
      true -> none;
      false -> {Ready([Each || {Module, _, _} = Each <- Old, not lists:member(Module, Stays)]),
                [Module || {Module, _, _} <- Plain, Loaded(Module) =:= none]}
    end,
    OldVsns = [{Module, LoadedVsn(Module)} || {Module, _, _} <- New, Loaded(Module) =/= none],
    NewVsns = [{Module, Vsn(Bytes)} || {Module, _, Bytes} <- New],
    Of = fun(Module, Vsns) -> proplists:get_value(Module, Vsns) end,
    Paths = [{App, Folder(App, Version)} || {App, Version} <- lists:usort([{App, Version} || {_, App, Version} <- Load])],
    From = fun(Module) -> Of(Module, OldVsns) end,
    To = fun(Module) -> Of(Module, NewVsns) end,
    Changes = fun(Modes, OldVsn) ->
      [{Module, OldVsn(Mode, Module), Extra} || {Module, Mode, Extra} <- Change0, lists:member(Mode, Modes)]
    end,
    Funs = [{Module, Of0} || {Module, _, Bytes} <- Changed ++ [Each || {_, _, _} = Each <- Old], Of0 <- [FunsOf(Bytes)],
                             Of0 =/= none],
    Stop#{prepared => Ready(Plain), late => Late, back => Back, touched => Touched,
          funs => lists:foldl(fun({Module, Of0}, All) -> maps:update_with(Module, fun(Some) -> [Of0 | Some] end, [Of0], All) end,
                              #{}, Funs),
          paths => [{App, Path, Before} || {App, Path} <- Paths, Before <- [code:lib_dir(App)], is_list(Before)],
          %% What is changed before the load and behind it, and how each is changed back.
          before => Changes([down], fun(_, Module) -> {down, To(Module)} end),
          behind => Changes([up, static], fun(up, Module) -> From(Module); (static, Module) -> {down, To(Module)} end),
          back_by_new => Changes([up], fun(_, Module) -> {down, From(Module)} end),
          back_by_old => Changes([down, static], fun(_, Module) -> To(Module) end)}
  end,

  %% In the stop --------------------------------------------------------------------------------------------------------

  Find = fun(#{suspend := Modules}) ->
    Mine = processes() -- [self()],
    Rows = Started(Modules, Mine),
    Others = Again(Modules),
    [{Module, lists:usort(lists:append([Pids || {M, Pids} <- Rows, M =:= Module]) ++ [Pid || {M, Pid} <- Others, M =:= Module])}
     || Module <- Modules]
  end,
  %% The script changes the paths only at its point of no return, but an on_load or a code_change may look into priv_dir.
  Point = fun(Paths) -> [code:replace_path(App, Path) || {App, Path, _} <- Paths] end,
  PointBack = fun(Paths) -> [code:replace_path(App, filename:join(Before, "ebin")) || {App, _, Before} <- Paths] end,
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
  %% Each module's processes in the order of the relup; [{Module, Pid, Reason}] of those that failed.
  Change = fun(Changes, Found) ->
    [{Module, Pid, Reason}
     || {Module, OldVsn, Extra} <- Changes, Pids <- [proplists:get_value(Module, Found, [])],
        {Pid, Reason} <- Ask(Pids, {change_code, Module, OldVsn, Extra}, Timeout), Reason =/= noproc]
  end,
  Without = fun(Failed, Found) ->
    Bad = [Pid || {_, Pid, _} <- Failed],
    [{Module, Pids -- Bad} || {Module, Pids} <- Found]
  end,
  %% How long it may take to purge what has just become old, in ms: each module asks every process.
  PurgeTime = fun(Modules) -> length(Modules) * length(processes()) div 500 end,

  %% All are suspended and the new code is loaded, but some could not be changed. Back, where that is possible: those that were
  %% changed are changed back by the new code, as on the way down, and then the old code is loaded again.
  GoBack = fun(#{back := none}, _, _) -> {error, no_way_back};
              (#{back := {Old, Added}, behind := Behind, touched := Touched} = Stop, #{found := Found, states := States}, Failed) ->
    Funs = maps:get(funs, Stop),
    case {PurgeTime(Touched) > maps:get(max_stand_still, Options), [Module || Module <- Touched, IsHeld(Module, Funs)]} of
      {true, _} -> {error, too_slow};
      {_, [_ | _]} -> {error, funs_of_old_code_in_use};
      _ ->
        Changed = Without(Failed, Found),
        Others = Without([{supervisor, Pid, restored} || {Pid, _} <- States], Changed),
        _ = Change(maps:get(back_by_new, Stop), Others),
        case lists:all(Purge, Touched) andalso Load(Old) of
          ok ->
            _ = Change(maps:get(back_by_old, Stop), Others),
            [catch sys:replace_state(Pid, fun(_) -> State end, Timeout) || {Pid, State} <- States],
            [begin code:delete(Module), code:soft_purge(Module) end || Module <- Added],
            ok;
          _ -> _ = Change(Behind, Others), {error, old_code_in_use}
        end
    end
  end,

  %% With the processes of Found suspended: {ok, Restarted, Report}, or it throws {refused, Why, Report}. All new, or all old.
  Stopped = fun(#{before := Before, behind := Behind, paths := Paths, late := Late} = Stop, #{found := Found} = All, Silent) ->
    Restarts = maps:get(on_failed, Options) =:= restart orelse not maps:get(cancels, Stop),
    %% A change that is late may still take effect, which nothing can take back then: only its supervisor can help.
    Refuse = fun(Why, Failed) ->
      Slow = [Row || {_, _, timeout} = Row <- Failed],
      [exit(Pid, kill) || {_, Pid, _} <- Slow],
      PointBack(Paths),
      throw({refused, Why, #{killed => Slow}})
    end,
    Unchange = [Row || {Module, _, _} = Row <- maps:get(back_by_old, Stop), lists:keymember(Module, 1, Before)],
    Silent =:= [] orelse Restarts orelse Refuse({suspend, Silent}, []),
    T1 = Now(),
    FailedBefore = Change(Before, Found),
    case FailedBefore =:= [] orelse Restarts of
      true -> ok;
      false -> _ = Change(Unchange, Without(FailedBefore, Found)), Refuse({code_change, FailedBefore}, FailedBefore)
    end,
    T2 = Now(),
    Point(Paths),
    case Load(maps:get(prepared, Stop)) of
      ok -> ok;
      {error, Reasons} -> _ = Change(Unchange, Without(FailedBefore, Found)), Refuse({not_loaded, Reasons}, [])
    end,
    NotLoaded = case LoadLate(Late, Restarts) of
      {ok, Missing} -> Missing;
      %% What has been loaded was prepared, and that can go back.
      {first, First} ->
        case GoBack(Stop#{behind := [], back_by_new := [], back_by_old := Unchange}, All, []) of
          ok -> Refuse({on_load, First}, []);
          _ -> First ++ element(2, LoadLate(tl(Late), true))
        end
    end,
    [code:delete(Module) || Module <- maps:get(remove, Stop)],
    T3 = Now(),
    FailedBehind = Change(Behind, Found),
    T4 = Now(),
    Back = case FailedBehind =:= [] orelse Restarts of
      true -> new;
      false when Late =/= [] -> {error, no_way_back};
      false -> GoBack(Stop, All, FailedBehind)
    end,
    Back =:= ok andalso Refuse({code_change, FailedBehind}, FailedBehind),
    %% Each is killed where it is suspended, and its supervisor starts it anew in the new code.
    Restarted = FailedBefore ++ FailedBehind,
    [exit(Pid, kill) || {_, Pid, _} <- Restarted],
    {ok, Restarted, #{load => T3 - T2, change => (T2 - T1) + (T4 - T3), not_loaded => NotLoaded, back => Back}}
  end,
  %% Supervisors are suspended last and resumed first: nobody else can hang on one of them then.
  Swap = fun(Stop, Before) ->
    Found = Find(Stop),
    Owned = lists:usort(lists:append([Pids || {_, Pids} <- Found])) -- Before,
    Supervisors = lists:usort(lists:append([Pids || {_, [One | _] = Pids} <- Found, IsSupervisor(One)])) -- Before,
    Workers = Owned -- Supervisors,
    T0 = Now(),
    Silent = [Each || {_, Reason} = Each <- Ask(Workers, suspend, Timeout) ++ Ask(Supervisors, suspend, Timeout),
                      Reason =/= noproc],
    T1 = Now(),
    %% A supervisor that is changed back would keep the children that it has learned of: it gets the state that it had.
    States = [{Pid, State} || Pid <- Supervisors, not lists:keymember(Pid, 1, Silent),
                              State <- try [sys:get_state(Pid, Timeout)] catch _:_ -> [] end],
    {Kind, What, Report} = try Stopped(Stop, #{found => Found, states => States}, Silent)
                           catch throw:Refusal -> Refusal; Class:Reason -> {broken, {Class, Reason}, #{}} end,
    T2 = Now(),
    Stuck = [Pid || {Pid, timeout} <- Ask(Supervisors, resume, Timeout) ++ Ask(Workers, resume, Timeout)],
    T3 = Now(),
    {Kind, What, Report#{processes => length(Owned), suspend => T1 - T0, resume => T3 - T2, stand_still => T3 - T0,
                         silent => Stuck}}
  end,

  %% Afterwards, and in between -----------------------------------------------------------------------------------------

  %% The relup's call fails: its gen_server:call learns that we are gone, though we are not.
  Fail = fun({Pid, Call}, Reason) ->
    Ref = case Call of [alias | Alias] -> Alias; _ -> Call end,
    Pid ! {'DOWN', Ref, process, self(), {edeliver_relup, Reason}}
  end,
  Perform = fun(From, Id, #{stops := Left} = S) ->
    case maps:take(Id, Left) of
      {Stop, Others} ->
        process_flag(priority, high),
        {Kind, What, Report} = Swap(Stop, maps:get(held, S)),
        process_flag(priority, normal),
        case Kind =:= ok orelse not maps:get(cancels, Stop) of
          true -> gen_server:reply(From, ok);
          false -> Fail(From, What)
        end,
        %% Where it went back, the new code is the old one now.
        S#{stops := Others, unpurged := maps:get(unpurged, S) ++ maps:get(touched, Stop),
           funs := maps:merge(maps:get(funs, S), maps:get(funs, Stop)),
           reports := [{Id, {Kind, What, Report}} | maps:get(reports, S)]};
      error -> Fail(From, {no_such_swap, Id}), S
    end
  end,
  %% Old code does no harm until the next swap, so there is time: a module takes a fifth of what a purge of it takes.
  PurgeOne = fun(#{unpurged := [Module | Others], lingering := Lingering, funs := Funs} = S) ->
    Before = Now(),
    %% Who runs old code can make a fun of it: it has to be gone before the funs are counted.
    Free = maps:get(Module, Funs, []) =:= [] orelse
           not erlang:check_old_code(Module) orelse Runs(Module) =:= [] andalso not IsHeld(Module, Funs),
    Purged = Free andalso Purge(Module),
    Pause = (Now() - Before) div 1000 * 4 + 1,
    S#{unpurged := Others, lingering := case Purged of true -> Lingering; false -> Lingering ++ [Module] end, pause := Pause}
  end,
  Loop = fun Loop(#{state := State} = S) ->
    Due = case S of
      #{state := purging, unpurged := [_ | _], pause := Pause} -> Pause;
      #{state := purging, lingering := [_ | _], rounds := Rounds0} when Rounds0 > 0 -> 5000;
      #{state := purging, lingering := [_ | _]} -> 60000;
      #{state := purging} -> 0;
      _ -> infinity
    end,
    receive
      {'$gen_call', From, {swap, _}} when State =:= prepared -> gen_server:reply(From, ok), Loop(S);
      {'$gen_call', From, {swap, Id}} when State =:= armed -> Loop(Perform(From, Id, S));
      {'$gen_call', From, {swap, Id}} -> Fail(From, {too_late, Id}), Loop(S);
      {'$gen_call', From, {Token, {arm, Held}}} when State =:= prepared ->
        gen_server:reply(From, ok), Loop(S#{state := armed, held := Held});
      {'$gen_call', From, {Token, disarm}} when State =:= armed -> gen_server:reply(From, ok), Loop(S#{state := prepared});
      {'$gen_call', From, {Token, report}} -> gen_server:reply(From, lists:reverse(maps:get(reports, S))), Loop(S);
      {'$gen_call', From, {Token, leave}} -> gen_server:reply(From, ok), Loop(S#{state := purging});
      {'$gen_call', From, who} ->
        Old = maps:get(unpurged, S) ++ maps:get(lingering, S),
        Funs = maps:get(funs, S),
        gen_server:reply(From, {swap, State, [{Module, Runs(Module), Holders(Module, Funs)}
                                              || State =:= purging, Module <- Old, erlang:check_old_code(Module)]}),
        Loop(S);
      {'$gen_call', From, held} ->
        Funs = maps:get(funs, S),
        gen_server:reply(From, {held, [Module || {Module, _} <- maps:to_list(Funs), IsHeld(Module, Funs)]}), Loop(S);
      {'$gen_call', From, take_over} when State =:= purging ->
        unregister(edeliver_relup_swap),
        gen_server:reply(From, {taken, maps:get(unpurged, S) ++ maps:get(lingering, S), maps:get(funs, S)});
      {'$gen_call', From, _} -> gen_server:reply(From, {error, unknown}), Loop(S);
      {'DOWN', _, process, Guard, _} -> Loop(S#{state := purging});
      _ -> Loop(S)
    after Due ->
      case S of
        #{unpurged := [_ | _]} -> Loop(PurgeOne(S));
        #{lingering := []} -> ok;
        #{lingering := Lingering, rounds := Rounds} ->
          Rounds =:= 0 andalso
            logger:log(warning, "edeliver_relup: old code of ~0tp is still in use, and not purged", [Lingering]),
          Loop(S#{unpurged := Lingering, lingering := [], rounds := Rounds - 1, pause := 0})
      end
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
    Initial = #{held => [], reports => [], lingering => [], rounds => 60, pause => 0},
    case Prepared of
      #{} ->
        Summary = [{Id, #{modules => length(maps:get(touched, Stop)), back => maps:get(back, Stop) =/= none,
                          processes => [{Module, length(Pids)} || {Module, Pids} <- Find(Stop)]}}
                   || {Id, Stop} <- lists:sort(maps:to_list(Prepared))],
        Parent ! {Tag, {ok, self(), Summary}},
        {taken, Left0, Known0} = Taken,
        Loop(Initial#{state => prepared, stops => Prepared, unpurged => Left0, funs => Known0});
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
