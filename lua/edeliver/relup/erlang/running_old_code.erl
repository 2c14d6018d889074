%% Which processes run old code of these modules, or of `all` that are loaded, and which modules nobody ran and were purged first,
%% where that is asked for: `{[{Module, [Pid]}], [Module]}`. What the last swap keeps for its funs stays.
-module(running_old_code).
-compile(nowarn_deprecated_catch).
-export([run/2]).

run(Modules, Purge) ->
  Wanted = case Modules of all -> [Module || {Module, _} <- code:all_loaded()]; _ -> lists:usort(Modules) end,
  Old = lists:filter(fun erlang:check_old_code/1, Wanted),
  Held = case Purge andalso (catch gen_server:call(edeliver_relup_swap, held, 5000)) of {held, Some} -> Some; _ -> [] end,
  Purged = [Module || Purge, Module <- Old, not lists:member(Module, Held), code:soft_purge(Module)],
  Pids = processes(),
  Ask = fun(Module) ->
    Answers = lists:zipwith(fun erlang:check_process_code/2, Pids, lists:duplicate(length(Pids), Module)),
    proplists:get_all_values(true, lists:zip(Answers, Pids))
  end,
  {[{Module, Found} || Module <- Old -- Purged, Found <- [Ask(Module)], Found =/= []], Purged}.
