%% The connections that these supervisors keep, as term_to_binary of pids: those that count as active, and those that have left
%% the count; or `{died, Supervisor}`. Compiled functions sort them out, so that little comes over the wire.
-module(ranch_connections).
-export([run/1]).

run(Sups) ->
  Kept = [{Sup, process_info(Sup, dictionary)} || Sup <- Sups],
  case [Sup || {Sup, undefined} <- Kept] of
    [Dead | _] -> {died, Dead};
    [] ->
      All = lists:append([Dictionary || {_, {dictionary, Dictionary}} <- Kept]),
      Of = fun(State) ->
        term_to_binary(ets:match_spec_run(All, ets:match_spec_compile([{{'$1', State}, [{is_pid, '$1'}], ['$1']}])))
      end,
      {Of(active), Of(removed)}
  end.
