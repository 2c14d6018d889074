%% Which of these processes have no channel, as term_to_binary of their pids: a process monitors its channels. Nearly all have a
%% channel as the first that they monitor, or monitor nobody: compiled functions tell those; only the rest is looked at one by
%% one.
-module(without_channels).
-export([run/2]).

run(Pids, Channels) ->
  Infos = lists:zip(Pids, lists:zipwith(fun erlang:process_info/2, Pids, lists:duplicate(length(Pids), monitors))),
  Pick = fun(Spec) -> ets:match_spec_run(Infos, ets:match_spec_compile(Spec)) end,
  First = Pick([{{'_', {monitors, [{process, '$1'} | '_']}}, [{is_pid, '$1'}], ['$1']}]),
  None = Pick([{{'$1', undefined}, [], ['$1']}, {{'$1', {monitors, []}}, [], ['$1']}]),
  Others = ordsets:subtract(ordsets:from_list(First), ordsets:from_list(Channels)),
  term_to_binary(case Others =:= [] andalso length(First) + length(None) =:= length(Pids) of
    true -> None;
    false ->
      Known = maps:from_list(lists:zip(Channels, Channels)),
      IsChannel = fun({process, Pid}) -> is_map_key(Pid, Known); (_) -> false end,
      None ++ [Pid || {Pid, {monitors, [_ | _] = Monitors}} <- Infos, not lists:any(IsChannel, Monitors)]
  end).
