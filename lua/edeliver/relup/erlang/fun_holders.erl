%% Who has funs of these modules now: `[{Module, Holder}]`, Holder being {process, Pid}, {table, Name} or {persistent_term, Key}. Their
%% code cannot be purged while they are there. It takes Timeout ms at most; tables of more than 100,000 rows are passed over.
%% Changes nothing.
-module(fun_holders).
-export([run/3]).
-parts([old_funs]).

run(Modules, Timeout, OldFuns) ->
  #{kinds := KindsOf, of_loaded := Used, holders := Holders} = OldFuns,
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
  Holders(Counted, Timeout).
