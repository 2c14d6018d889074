%% Gives a fun that tries code_change of new code on the states of running processes: {ok, [{Module, Tried}], Failed}, where Failed is
%% at most ten of {Module, Pid, Reason}. It is a question of next_vm: Call makes a call in a VM of the new release, which has its
%% configuration. Nothing of the node is touched but that its processes are asked for their states.
%%
%% Changes is [{Module, Extra}], Load the new code, [{Module, Application, Version} | {Module, Path}]; Most is how many processes of
%% each.
-module(rehearse).
-export([run/5]).
-parts([release_files]).

run(Changes, Load, Most, Timeout, ReleaseFiles) ->
  %% What the new release does not say the node's own path does.
  Paths = [Path || Path <- code:get_path(), filelib:is_dir(Path)],
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
  Try = fun Try(_, _, _, _, _, []) -> [];
            Try(Call, Callback, Arity, Vsn, Extra, Some) ->
    Count = length(Some),
    Given = [case {Arity, State} of {4, {Name, Data}} -> [Vsn, Name, Data, Extra]; _ -> [Vsn, State, Extra] end || {_, State} <- Some],
    Arguments = [fun erlang:apply/3, lists:duplicate(Count, Callback), lists:duplicate(Count, code_change), Given],
    Halves = fun(Reason) ->
      case Some of
        [{Pid, _}] -> [{Pid, Reason}];
        _ ->
          {Left, Right} = lists:split(Count div 2, Some),
          Try(Call, Callback, Arity, Vsn, Extra, Left) ++ Try(Call, Callback, Arity, Vsn, Extra, Right)
      end
    end,
    try Call(lists, zipwith3, Arguments, Timeout) of
      Answers ->
        [{Pid, Answer} || {{Pid, _}, Answer} <- lists:zip(Some, Answers),
                          not (is_tuple(Answer) andalso element(1, Answer) =:= ok)]
    catch
      %% A fun of the node's own cannot be called there, and nobody else of the node is there: nothing is known of that state.
      _:{badfun, _} when Count =:= 1 -> [];
      _:{noproc, _} when Count =:= 1 -> [];
      _:Reason -> Halves(Reason)
    end
  end,
  Batches = fun Cut(Some) ->
    case length(Some) =< 500 of true -> [Some]; false -> {Left, Right} = lists:split(500, Some), [Left | Cut(Right)] end
  end,
  NameOf = fun({_, Path}) -> filename:rootname(Path); ({Module, App, Version}) -> File(Module, App, Version) end,
  fun(Call, next_vm) ->
    ok = Call(code, add_pathsz, [Paths], Timeout),
    [{module, _} = Call(code, load_abs, [NameOf(Each)], Timeout) || Each <- Load],
    %% State machines have a state and data.
    ArityOf = fun(Callback) -> [Arity || Arity <- [3, 4], Call(erlang, function_exported, [Callback, code_change, Arity], Timeout)] end,
    Rows = [{Module, Batch, Try(Call, Callback, Arity, VsnOf(Module), Extra, Batch)}
            || {Module, Extra} <- Changes, {Callback, Found} <- Of(Module),
               {module, Callback} =:= Call(code, ensure_loaded, [Callback], Timeout),
               [Arity | _] <- [ArityOf(Callback)],
               Batch0 <- Batches(Found), Batch <- [States(Batch0)]],
    Tried = [{Module, lists:sum([length(Batch) || {M, Batch, _} <- Rows, M =:= Module])} || {Module, _} <- Changes],
    Failed = [{Module, Pid, Reason} || {Module, _, Bad} <- Rows, {Pid, Reason} <- Bad],
    {ok, Tried, lists:sublist(Failed, 10)}
  end.
