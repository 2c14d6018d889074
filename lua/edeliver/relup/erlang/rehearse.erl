%% Tries code_change of new code on the states of running processes, in a VM beside the node: {ok, [{Module, Tried}], Failed}, where
%% Failed is at most ten of {Module, Pid, Reason}; {error, Reason} where there is no such VM. It needs OTP 25, and ends with the
%% call. Nothing of the node is touched but that its processes are asked for their states.
%%
%% Changes is [{Module, Extra}], Load the new code, [{Module, Application, Version} | {Module, Path}]; Most is how many processes of
%% each.
-module(rehearse).
-export([run/5]).
-parts([release_files]).

run(Changes, Load, Most, Timeout, ReleaseFiles) ->
  Root = code:root_dir(),
  %% A release need not have an erts of its own.
  Bin = case os:getenv("BINDIR") of false -> Root; Set0 -> Set0 end,
  Erls = [File0 || File0 <- [filename:join([Root, "erts-" ++ erlang:system_info(version), "bin", "erl"]),
                             filename:join(Bin, "erl"), os:find_executable("erl")], is_list(File0), filelib:is_regular(File0)],
  Boots = [filename:rootname(File) || File <- filelib:wildcard(filename:join([Root, "releases", "*", "start_clean.boot"])) ++
                                              filelib:wildcard(filename:join([Root, "bin", "start_clean.boot"]))],
  Boot = case Boots of [One | _] -> ["-boot", One, "-boot_var", "RELEASE_LIB", filename:join(Root, "lib")]; [] -> [] end,
  Paths = [Path || Path <- code:get_path(), filelib:is_dir(Path)],
  Options = fun(Erl) -> #{connection => standard_io, wait_boot => 15000, exec => Erl,
              env => [{"ERL_ZFLAGS", false}, {"ERL_AFLAGS", false}, {"ERL_FLAGS", false}, {"HEART_COMMAND", false},
                      {"ERL_CRASH_DUMP", "/dev/null"}],
              args => Boot ++ ["-mode", "interactive", "-pa" | Paths]} end,
  #{file := File, single := Single} = ReleaseFiles,
  VsnOf = fun(Module) -> Single(proplists:get_value(vsn, Module:module_info(attributes), undefined)) end,
  %% Processes by what started them, and the module whose code_change they call.
  Pids = processes(),
  Calls = lists:map(fun proc_lib:translate_initial_call/1, Pids),
  Of = fun(Module) ->
    Kinds = [{{Module, init, 1}, Module}, {{Module, join, 3}, 'Elixir.Phoenix.Channel.Server'},
             {{Module, mount, 3}, 'Elixir.Phoenix.LiveView.Channel'}],
    [{Callback, lists:sublist([Pid || {Found, Pid} <- lists:zip(Calls, Pids), Found =:= Call], Most)}
     || {Call, Callback} <- Kinds, lists:member(Call, Calls)]
  end,
  %% Those that die meanwhile, or are busy, are left out.
  States = fun States([]) -> [];
               States(Some) ->
    try lists:zip(Some, lists:map(fun sys:get_state/1, Some))
    catch
      _:_ when length(Some) =:= 1 -> [];
      _:_ -> {Left, Right} = lists:split(length(Some) div 2, Some), States(Left) ++ States(Right)
    end
  end,
  %% Compiled code tries many at once; where one fails, it is looked for by halves.
  Try = fun Try(_, _, _, _, []) -> [];
            Try(Vm, Callback, Vsn, Extra, Some) ->
    Count = length(Some),
    Arguments = [fun Callback:code_change/3, lists:duplicate(Count, Vsn), [State || {_, State} <- Some],
                 lists:duplicate(Count, Extra)],
    Halves = fun(Reason) ->
      case Some of
        [{Pid, _}] -> [{Pid, Reason}];
        _ ->
          {Left, Right} = lists:split(Count div 2, Some),
          Try(Vm, Callback, Vsn, Extra, Left) ++ Try(Vm, Callback, Vsn, Extra, Right)
      end
    end,
    try peer:call(Vm, lists, zipwith3, Arguments, Timeout) of
      Answers ->
        [{Pid, Answer} || {{Pid, _}, Answer} <- lists:zip(Some, Answers),
                          not (is_tuple(Answer) andalso element(1, Answer) =:= ok)]
    catch
      %% A fun of the node's own cannot be called there: nothing is known of that state.
      _:{badfun, _} when Count =:= 1 -> [];
      _:Reason -> Halves(Reason)
    end
  end,
  Batches = fun Cut(Some) ->
    case length(Some) =< 500 of true -> [Some]; false -> {Left, Right} = lists:split(500, Some), [Left | Cut(Right)] end
  end,
  Rehearse = fun(Vm) ->
    NameOf = fun({_, Path}) -> filename:rootname(Path); ({Module, App, Version}) -> File(Module, App, Version) end,
    [{module, _} = peer:call(Vm, code, load_abs, [NameOf(Each)], Timeout) || Each <- Load],
    Rows = [{Module, Batch, Try(Vm, Callback, VsnOf(Module), Extra, Batch)}
            || {Module, Extra} <- Changes, {Callback, Found} <- Of(Module),
               {module, Callback} =:= peer:call(Vm, code, ensure_loaded, [Callback], Timeout),
               peer:call(Vm, erlang, function_exported, [Callback, code_change, 3], Timeout),
               Batch0 <- Batches(Found), Batch <- [States(Batch0)]],
    Tried = [{Module, lists:sum([length(Batch) || {M, Batch, _} <- Rows, M =:= Module])} || {Module, _} <- Changes],
    Failed = [{Module, Pid, Reason} || {Module, _, Bad} <- Rows, {Pid, Reason} <- Bad],
    {ok, Tried, lists:sublist(Failed, 10)}
  end,
  case code:ensure_loaded(peer) of
    {module, peer} when Erls =:= [] -> {error, no_erl};
    {module, peer} ->
      %% Whoever asks may go away: the VM is bound to this process, and ends with it.
      try peer:start_link(Options(hd(Erls))) of
        {ok, Vm, _} -> try Rehearse(Vm) catch Class:Reason -> {error, {Class, Reason}} after peer:stop(Vm) end;
        Other -> {error, Other}
      catch Class:Reason -> {error, {Class, Reason}}
      end;
    _ -> {error, no_peer}
  end.
