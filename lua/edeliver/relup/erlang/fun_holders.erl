%% Who has funs of these modules now: `[{Module, Holder}]`, Holder being {process, Pid}, {table, Name} or {persistent_term, Key}. Their
%% code cannot be purged while they are there. It takes Timeout ms at most; tables of more than 100,000 rows or 64 MB are passed over.
%% Changes nothing.
-module(fun_holders).
-compile(nowarn_deprecated_catch).
-export([run/3]).
-parts([old_funs]).

run(Modules, Timeout, OldFuns) ->
  #{kinds := KindsOf, of_loaded := Used} = OldFuns,
  Until = erlang:monotonic_time(millisecond) + Timeout,
  Read = fun(Module) ->
    case erlang:module_loaded(Module) andalso code:which(Module) of
      [_ | _] = Path ->
        case erl_prim_loader:get_file(Path) of
          {ok, <<31, 139, _/binary>> = Zipped, _} -> [zlib:gunzip(Zipped)];
          {ok, Bytes, _} -> [Bytes];
          error -> []
        end;
      _ -> []
    end
  end,
  %% The emulator counts them; what a process had not long ago, and has not been collected, is counted, too.
  Counted = [{Module, Some} || Module <- Modules, Bytes <- Read(Module), Some <- [Used(Module, KindsOf(Bytes))], Some =/= []],
  %% What shows in terms that are written out, and in what stacks are printed as.
  Signs = maps:from_list(
    [{Md5, Module} || {Module, Some} <- Counted, {Md5, _} <- Some] ++
    [{iolist_to_binary(io_lib:format("#Fun<~ts.~w.~w>", [Module, Index, Uniq])), Module}
     || {Module, Some} <- Counted, {_, Kinds} <- Some, {_, _, Index, _, Uniq} <- Kinds]),
  Found = fun(Bytes) ->
    lists:usort([maps:get(binary:part(Bytes, Match), Signs) || Match <- binary:matches(Bytes, maps:keys(Signs))])
  end,
  Words = 64 * 1024 * 1024 div erlang:system_info(wordsize),
  InTable = fun(Name) ->
    case ets:info(Name, size) < 100000 andalso ets:info(Name, memory) < Words of
      true -> Found(term_to_binary(ets:tab2list(Name)));
      false -> []
    end
  end,
  InProcess = fun(Pid) ->
    case process_info(Pid, [backtrace, dictionary]) of
      [{_, Stack}, {_, Dictionary}] -> lists:usort(Found(Stack) ++ Found(term_to_binary(Dictionary)));
      undefined -> []
    end
  end,
  Places = case Counted of
    [] -> [];
    _ ->
      [{{persistent_term, Key}, fun() -> Found(term_to_binary(Term)) end} || {Key, Term} <- persistent_term:get()] ++
      [{{table, ets:info(Name, name)}, fun() -> InTable(Name) end} || Name <- ets:all()] ++
      [{{process, Pid}, fun() -> InProcess(Pid) end} || Pid <- processes() -- [self()]]
  end,
  %% A table may be gone, or private to its owner.
  Look = fun({Place, Test}) ->
    case erlang:monotonic_time(millisecond) < Until andalso (catch Test()) of
      [_ | _] = Some -> [{Module, Place} || Module <- Some];
      _ -> []
    end
  end,
  lists:append(lists:map(Look, Places)).
