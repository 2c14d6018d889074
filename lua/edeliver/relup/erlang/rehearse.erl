%% Gives a fun that tries code_change of new code on the states of running processes, up and down again: {ok, [{Module, Tried, Unknown}],
%% Failed, NoWayBack}, where Failed and NoWayBack are at most ten of {Module, Pid, Reason} each. Unknown are the states whose
%% code_change wants something that only the node has. It is a question of next_vm: Call makes a call in a VM of the new release,
%% which has its configuration. Nothing of the node is touched but that its processes are asked for their states.
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
  %% What a rehearsal cannot have, and the swap has: processes, tables and terms of the node's own, and funs of its code.
  Absent = make_ref(),
  IsHere = fun(error, {badfun, _}, _) -> true;
              (_, {noproc, _}, _) -> true;
              (error, badarg, [{erlang, send, [Name | _], _} | _]) when is_atom(Name) -> whereis(Name) =/= undefined;
              (error, badarg, [{erlang, _, [Port | _], _} | _]) when is_port(Port) -> true;
              (error, badarg, [{ets, _, [Table | _], _} | _]) when is_atom(Table); is_reference(Table) ->
                ets:info(Table, type) =/= undefined;
              (error, badarg, [{persistent_term, get, [Key], _} | _]) -> persistent_term:get(Key, Absent) =/= Absent;
              (_, _, _) -> false
  end,
  %% {Changed, Failed, Unknown}: compiled code tries many at once; where one fails, it is looked for by halves, until ten have.
  Try = fun Try(_, _, _, _, _, []) -> {[], [], 0};
            Try(Call, Callback, Arity, Vsn, Extra, Some) ->
    Count = length(Some),
    Given = [case {Arity, State} of {4, {Name, Data}} -> [Vsn, Name, Data, Extra]; _ -> [Vsn, State, Extra] end || {_, State} <- Some],
    Arguments = [fun erlang:apply/3, lists:duplicate(Count, Callback), lists:duplicate(Count, code_change), Given],
    try Call(lists, zipwith3, Arguments, Timeout) of
      Answers ->
        Rows = lists:zip(Some, Answers),
        {[{Pid, case Answer of {ok, State} -> State; {ok, Name, Data} -> {Name, Data} end}
          || {{Pid, _}, Answer} <- Rows, is_tuple(Answer), element(1, Answer) =:= ok],
         [{Pid, Answer} || {{Pid, _}, Answer} <- Rows, not (is_tuple(Answer) andalso element(1, Answer) =:= ok)], 0}
    catch
      Class:Reason:Stack when Count =:= 1 ->
        [{Pid, _}] = Some,
        case IsHere(Class, Reason, Stack) of true -> {[], [], 1}; false -> {[], [{Pid, Reason}], 0} end;
      _:_ ->
        {Left, Right} = lists:split(Count div 2, Some),
        {Changed, Failed, Unknown} = Try(Call, Callback, Arity, Vsn, Extra, Left),
        {Changed2, Failed2, Unknown2} = case length(Failed) < 10 of
          true -> Try(Call, Callback, Arity, Vsn, Extra, Right);
          false -> {[], [], 0}
        end,
        {Changed ++ Changed2, Failed ++ Failed2, Unknown + Unknown2}
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
    Rows = [{Module, length(Batch), Unknown, Failed, Back}
            || {Module, Extra} <- Changes, {Callback, Found} <- Of(Module),
               {module, Callback} =:= Call(code, ensure_loaded, [Callback], Timeout),
               [Arity | _] <- [ArityOf(Callback)], Vsn <- [VsnOf(Module)],
               Batch0 <- Batches(Found), Batch <- [States(Batch0)],
               {Changed, Failed, Unknown} <- [Try(Call, Callback, Arity, Vsn, Extra, Batch)],
               {_, Back, _} <- [Try(Call, Callback, Arity, {down, Vsn}, Extra, Changed)]],
    Sum = fun(Module, N) -> lists:sum([element(N, Row) || Row <- Rows, element(1, Row) =:= Module]) end,
    Ten = fun(N) -> lists:sublist([{element(1, Row), Pid, Reason} || Row <- Rows, {Pid, Reason} <- element(N, Row)], 10) end,
    {ok, [{Module, Sum(Module, 2), Sum(Module, 3)} || {Module, _} <- Changes], Ten(4), Ten(5)}
  end.
