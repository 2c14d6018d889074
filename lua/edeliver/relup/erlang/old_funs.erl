%% Funs of old code. Purged code takes its funs along: who calls one then gets a badfun. The emulator counts the funs of each kind,
%% wherever they are: states, tables, persistent terms, messages, timers.
%%
%% #{table => fun(Bytes) -> {Md5, Kinds} | none, is_held => fun(Module, Known), holders => fun(Module, Known) -> at most ten of
%% {process, Pid} | {table, Name} | {persistent_term, Key}}; Known is #{Module => [{Md5, Kinds}]} of all code that may be old.
%% And of any code: used => fun(Module, Md5, Kinds) -> those of its funs that somebody has, or had not long ago, [{Md5, Kind}].
-module(old_funs).
-compile(nowarn_deprecated_catch).
-export([run/0]).

run() ->
  Loaded = fun(Module) ->
    case erlang:module_loaded(Module) of true -> erlang:get_module_info(Module, md5); false -> none end
  end,
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
    {ok, Bytes, _} = erl_prim_loader:get_file(code:which(erl_lint)),
    {Md5, Table} = FunsOf(case Bytes of <<31, 139, _/binary>> -> zlib:gunzip(Bytes); _ -> Bytes end),
    Least = fun(Kinds) -> lists:min([References(erl_lint, Md5, Kind) || Kind <- Kinds]) end,
    {With, Without} = lists:partition(fun({_, _, Free, _}) -> Free > 0 end, Table),
    {Least(With), Least(Without)}
  end,
  Lowest = try Unused() catch _:_ -> {2, 2} end,
  Used = fun(Module, Md5, Kinds) ->
    [{Md5, Kind} || {_, _, Free, _} = Kind <- Kinds,
                    References(Module, Md5, Kind) > case Free of 0 -> element(2, Lowest); _ -> element(1, Lowest) end]
  end,
  %% The funs of a module's old code that somebody has; Known is #{Module => [{Md5, Kinds}]} of all code that may be old.
  OldFuns = fun(Module, Known) ->
    erlang:check_old_code(Module) andalso
      lists:append([Used(Module, Md5, Kinds) || {Md5, Kinds} <- maps:get(Module, Known, []), Md5 =/= Loaded(Module)])
  end,
  %% Where some of those that hold such funs are: [{process, Pid} | {table, Name} | {persistent_term, Key}].
  Holders = fun(Module, Known) ->
    Until = erlang:monotonic_time(millisecond) + 3000,
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
      case Left > 0 andalso erlang:monotonic_time(millisecond) < Until of
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
  #{
    table => FunsOf,
    is_held => fun(Module, Known) -> not lists:member(OldFuns(Module, Known), [false, []]) end,
    holders => Holders,
    used => Used
  }.
