%% Funs of code that is old, or is about to be. Purged code takes its funs along: who calls one then gets a badfun. The emulator
%% counts the funs of each kind, wherever they are: states, tables, persistent terms, messages, timers.
%%
%% A kind is {Name, Arity, Index, Free, Uniq}, Code [{Md5, Kinds}], Known #{Module => Code} of all code that may be old.
%% #{kinds => fun(Bytes) -> {Md5, Kinds} | none,
%%   is_held => fun(Module, Known): whether somebody has funs of its old code,
%%   of_loaded => fun(Module, {Md5, Kinds}) -> Code: the kinds of loaded code that somebody has,
%%   of_old => fun(Module, Known) -> Code: the same of its old code,
%%   holders => fun([{Module, Code}], Time) -> [{Module, Holder}], Holder being {process, Pid} | {table, Name} | {persistent_term, Key},
%%     as far as it gets in Time ms; tables of more than 100,000 rows are passed over,
%%   fits => fun(Code, {Md5, Kinds}): whether new code has all of these kinds: the name, the arity, the number of free variables,
%%   renew => fun(Module, Known): gives tables and persistent terms funs of the loaded code for those of the old, where it has these}
%% What a process has nobody can give it anew.
-module(old_funs).
-compile(nowarn_deprecated_catch).
-export([run/0]).

run() ->
  Loaded = fun(Module) ->
    case erlang:module_loaded(Module) of true -> erlang:get_module_info(Module, md5); false -> none end
  end,
  Kinds = fun(Bytes) ->
    case beam_lib:chunks(Bytes, ["FunT", atoms]) of
      {ok, {_, [{_, <<_:32, Table/binary>>}, {atoms, Atoms}]}} ->
        Names = maps:from_list(Atoms),
        {code:module_md5(Bytes), [{maps:get(Name, Names), Arity - Free, Index, Free, Uniq}
                                  || <<Name:32, Arity:32, _:32, Index:32, Free:32, Uniq:32>> <= Table]};
      _ -> none
    end
  end,
  Encoded = fun(Term) -> <<131, Bytes/binary>> = term_to_binary(Term), Bytes end,
  %% A fun as it comes from another node.
  Make = fun(Module, Md5, {_, Arity, Index, _, Uniq}, Pid, Values) ->
    Body = iolist_to_binary([<<Arity, Md5/binary, Index:32, (length(Values)):32>>, Encoded(Module), Encoded(Index), Encoded(Uniq),
                             Encoded(Pid), lists:map(Encoded, Values)]),
    binary_to_term(<<131, 112, (byte_size(Body) + 4):32, Body/binary>>)
  end,
  References = fun(Module, Md5, {_, _, _, Free, _} = Kind) ->
    {refc, Count} = erlang:fun_info(Make(Module, Md5, Kind, self(), lists:duplicate(Free, [])), refc),
    Count
  end,
  %% What is counted of a fun that nobody has: with free variables, and without, of which the code itself may have one.
  Unused = fun() ->
    {module, erl_lint} = code:ensure_loaded(erl_lint),
    {ok, Bytes, _} = erl_prim_loader:get_file(code:which(erl_lint)),
    {Md5, Table} = Kinds(case Bytes of <<31, 139, _/binary>> -> zlib:gunzip(Bytes); _ -> Bytes end),
    Least = fun(Some) -> lists:min([References(erl_lint, Md5, Kind) || Kind <- Some]) end,
    {With, Without} = lists:partition(fun({_, _, _, Free, _}) -> Free > 0 end, Table),
    {Least(With), Least(Without)}
  end,
  Lowest = try Unused() catch _:_ -> {2, 2} end,
  Used = fun(Module, {Md5, Some}) ->
    case [Kind || {_, _, _, Free, _} = Kind <- Some,
                  References(Module, Md5, Kind) > case Free of 0 -> element(2, Lowest); _ -> element(1, Lowest) end] of
      [] -> [];
      Found -> [{Md5, Found}]
    end
  end,
  OfLoaded = fun(Module, {Md5, _} = Code) -> case Loaded(Module) of Md5 -> Used(Module, Code); _ -> [] end; (_, none) -> [] end,
  OfOld = fun(Module, Known) ->
    case erlang:check_old_code(Module) of
      true -> [One || {Md5, _} = Code <- lists:usort(maps:get(Module, Known, [])), Md5 =/= Loaded(Module), One <- Used(Module, Code)];
      false -> []
    end
  end,
  Has = fun(Term, Md5s) -> binary:match(term_to_binary(Term), Md5s) =/= nomatch end,
  %% In parts, as a table may be large; what may not be read is nobody's to change.
  Reading = fun(Table, Do) ->
    Fixed = (catch ets:safe_fixtable(Table, true)),
    Got = (catch ets:info(Table, size) < 100000 andalso Do(ets:select(Table, [{'$1', [], ['$1']}], 1000))),
    Fixed =:= true andalso (catch ets:safe_fixtable(Table, false)),
    Got
  end,
  InTable = fun(Table, Md5s) ->
    Each = fun Each('$end_of_table') -> false;
               Each({Objects, More}) -> Has(Objects, Md5s) orelse Each(ets:select(More))
    end,
    Reading(Table, Each) =:= true
  end,
  %% One look at each place, for all modules.
  Holders = fun([], _) -> [];
               (Used0, Time) ->
    Until = erlang:monotonic_time(millisecond) + Time,
    %% What shows in terms that are written out, and in what stacks are printed as.
    Signs = maps:from_list(
      [{Md5, Module} || {Module, Code} <- Used0, {Md5, _} <- Code] ++
      [{iolist_to_binary(io_lib:format("#Fun<~ts.~w.~w>", [Module, Index, Uniq])), Module}
       || {Module, Code} <- Used0, {_, Some} <- Code, {_, _, Index, _, Uniq} <- Some]),
    Shown = fun(Bytes) ->
      lists:usort([maps:get(binary:part(Bytes, Match), Signs) || Match <- binary:matches(Bytes, maps:keys(Signs))])
    end,
    Rows = fun Rows('$end_of_table') -> [];
               Rows({Objects, More}) -> lists:usort(Shown(term_to_binary(Objects)) ++ Rows(ets:select(More)))
    end,
    Process = fun(Pid) ->
      case process_info(Pid, [backtrace, dictionary]) of
        [{_, Stack}, {_, Dictionary}] -> lists:usort(Shown(Stack) ++ Shown(term_to_binary(Dictionary)));
        undefined -> []
      end
    end,
    Places = [{{persistent_term, Key}, fun() -> Shown(term_to_binary(Term)) end} || {Key, Term} <- persistent_term:get()] ++
             [{{table, ets:info(Table, name)}, fun() -> Reading(Table, Rows) end} || Table <- ets:all()] ++
             [{{process, Pid}, fun() -> Process(Pid) end} || Pid <- processes() -- [self()]],
    lists:append([[{Module, Place} || Module <- case catch Look() of Some when is_list(Some) -> Some; _ -> [] end]
                  || {Place, Look} <- Places, erlang:monotonic_time(millisecond) < Until])
  end,

  %% Renewing -------------------------------------------------------------------------------------------------------------

  Like = fun({Name, Arity, _, Free, _}, {_, New}) -> [Kind || {N, A, _, F, _} = Kind <- New, N =:= Name, A =:= Arity, F =:= Free] end,
  %% A term with funs of the new code in it; it throws where the new code has no such fun.
  Anew = fun(Module, Md5s, {NewMd5, _} = New, Whole) ->
    Walk = fun Walk([Head | Tail]) -> [Walk(Head) | Walk(Tail)];
               Walk(Tuple) when is_tuple(Tuple) -> list_to_tuple(lists:map(Walk, tuple_to_list(Tuple)));
               Walk(Map) when is_map(Map) -> maps:from_list(lists:map(Walk, maps:to_list(Map)));
               Walk(Fun) when is_function(Fun) ->
      case [erlang:fun_info(Fun, What) || What <- [type, module, new_uniq]] of
        [{_, local}, {_, Module}, {_, Md5}] ->
          case lists:member(Md5, Md5s) of
            true ->
              [{_, Name}, {_, Arity}, {_, Values}, {_, Pid}] = [erlang:fun_info(Fun, What) || What <- [name, arity, env, pid]],
              case Like({Name, Arity, 0, length(Values), 0}, New) of
                [Kind] -> Make(Module, NewMd5, Kind, Pid, lists:map(Walk, Values));
                _ -> throw(no_such_fun)
              end;
            false -> Fun
          end;
        _ -> Fun
      end;
               Walk(Other) -> Other
    end,
    Walk(Whole)
  end,
  %% [{Old, New}] of the objects that have such funs.
  Objects = fun(Module, Md5s, New, Table) ->
    Each = fun Each('$end_of_table') -> [];
               Each({Some, More}) ->
      Found = case Has(Some, Md5s) of true -> [Object || Object <- Some, Has(Object, Md5s)]; false -> [] end,
      [{Object, Other} || Object <- Found, Other <- try [Anew(Module, Md5s, New, Object)] catch throw:no_such_fun -> [] end] ++
        Each(ets:select(More))
    end,
    Each(ets:select(Table, [{'$1', [], ['$1']}], 1000))
  end,
  %% In one step, so that what somebody else writes meanwhile is not lost.
  Replace = fun(Table, Position, {Old, New}) ->
    Key = element(Position, Old),
    Size = tuple_size(Old),
    Head = setelement(Position, erlang:make_tuple(Size, '_'), Key),
    Body = list_to_tuple([{const, element(I, New)} || I <- lists:seq(1, Size)]),
    element(Position, New) =:= Key andalso ets:select_replace(Table, [{Head, [{'=:=', '$_', {const, Old}}], [{Body}]}])
  end,
  %% Only the owner writes into a protected table, so it is asked to, if it is one that can be asked; nobody else interferes then.
  ByOwner = fun(Module, Md5s, New, Table, Owner) ->
    Change = fun(State) ->
      _ = (catch [begin ets:insert(Table, Other), lists:member(Object, ets:lookup(Table, element(ets:info(Table, keypos), Object))) andalso
                      Object =/= Other andalso ets:delete_object(Table, Object) end
                  || {Object, Other} <- Objects(Module, Md5s, New, Table)]),
      State
    end,
    case process_info(Owner, current_function) of
      {current_function, {gen_server, loop, _}} -> sys:replace_state(Owner, Change, 5000), erlang:garbage_collect(Owner);
      _ -> no
    end
  end,
  Renew = fun(Module, Known) ->
    Md5s = [Md5 || {Md5, _} <- OfOld(Module, Known)],
    New = lists:keyfind(Loaded(Module), 1, maps:get(Module, Known, [])),
    [throw(nothing_to_renew) || Md5s =:= [] orelse New =:= false],
    [catch persistent_term:put(Key, Other)
     || {Key, Term} <- persistent_term:get(), Has(Term, Md5s),
        Other <- try [Anew(Module, Md5s, New, Term)] catch _:_ -> [] end, persistent_term:get(Key, none) =:= Term],
    One = fun(Table) ->
      [Protection, Type, Position, Owner] = [ets:info(Table, What) || What <- [protection, type, keypos, owner]],
      IsSet = lists:member(Type, [set, ordered_set]),
      if
        Protection =:= public, IsSet -> [Replace(Table, Position, Pair) || Pair <- Objects(Module, Md5s, New, Table)];
        Protection =:= protected -> ByOwner(Module, Md5s, New, Table, Owner);
        true -> no
      end
    end,
    [catch One(Table) || Table <- ets:all(), InTable(Table, Md5s)],
    erlang:garbage_collect()
  end,
  #{
    kinds => Kinds,
    is_held => fun(Module, Known) -> OfOld(Module, Known) =/= [] end,
    of_loaded => OfLoaded,
    of_old => OfOld,
    holders => Holders,
    fits => fun(_, none) -> false;
               (Code, New) -> lists:all(fun(Kind) -> length(Like(Kind, New)) =:= 1 end, lists:append([Some || {_, Some} <- Code]))
            end,
    renew => fun(Module, Known) -> try Renew(Module, Known) catch throw:nothing_to_renew -> ok end end
  }.
