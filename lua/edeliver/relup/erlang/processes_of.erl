%% How many processes each of these modules is the callback of, or has begun: `[{Module, Kind, Count}]` of those that have any. Kind
%% is how that is told: initial_call (OTP's behaviours), channel, live_view, spawn, of processes that no behaviour has begun, or
%% supervisor: of those in Named, `[{Module, Pid, _}]`, whom child specs name, what nothing else tells.
-module(processes_of).
-export([run/2]).

run(Modules, Named) ->
  Pids = processes(),
  Calls = lists:map(fun proc_lib:translate_initial_call/1, Pids),
  %% What proc_lib has not begun.
  Others = ets:match_spec_run(lists:zip(Pids, Calls), ets:match_spec_compile([{{'$1', {proc_lib, init_p, 5}}, [], ['$1']}])),
  Raw = lists:zipwith(fun erlang:process_info/2, Others, lists:duplicate(length(Others), initial_call)),
  Patterns = fun(Module) ->
    [{{Module, join, 3}, [], [{{Module, channel}}]}, {{Module, mount, 3}, [], [{{Module, live_view}}]},
     {{Module, '_', '_'}, [], [{{Module, initial_call}}]}, {{supervisor, Module, '_'}, [], [{{Module, initial_call}}]},
     {{initial_call, {Module, '_', '_'}}, [], [{{Module, spawn}}]}]
  end,
  Wanted = ets:match_spec_compile(lists:append(lists:map(Patterns, Modules))),
  Add = fun(Row, Counts) -> maps:update_with(Row, fun(Count) -> Count + 1 end, 1, Counts) end,
  Told = fun(Module, Pid) ->
    case proc_lib:translate_initial_call(Pid) of
      {Module, _, _} -> true;
      {supervisor, Module, _} -> true;
      {proc_lib, init_p, 5} ->
        case process_info(Pid, initial_call) of {initial_call, {Module, _, _}} -> true; _ -> false end;
      _ -> false
    end
  end,
  OfSpecs = [{Module, supervisor} || {Module, Pid} <- lists:usort([{Module, Pid} || {Module, Pid, _} <- Named]),
                                     not Told(Module, Pid)],
  Found = lists:foldl(Add, #{}, ets:match_spec_run(Calls ++ Raw, Wanted) ++ OfSpecs),
  [{Module, Kind, Count} || {{Module, Kind}, Count} <- maps:to_list(Found)].
