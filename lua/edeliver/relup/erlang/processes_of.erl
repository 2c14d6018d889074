%% How many processes each of these modules is the callback of, by `$initial_call`: `[{Module, Count}]` of those that have any.
-module(processes_of).
-export([run/1]).

run(Modules) ->
  Calls = lists:map(fun proc_lib:translate_initial_call/1, processes()),
  Clause = fun(Module) -> [{{Module, '_', '_'}, [], [Module]}, {{supervisor, Module, '_'}, [], [Module]}] end,
  Wanted = ets:match_spec_compile(lists:append(lists:map(Clause, Modules))),
  Add = fun(Module, Counts) -> maps:update_with(Module, fun(Count) -> Count + 1 end, 1, Counts) end,
  maps:to_list(lists:foldl(Add, #{}, ets:match_spec_run(Calls, Wanted))).
