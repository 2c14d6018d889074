%% All connections of these supervisors, as term_to_binary of pids, and how many of them are not Bandit's.
-module(thousand_island_connections).
-export([run/1]).

run(Sups) ->
  Rows = lists:append(lists:map(fun supervisor:which_children/1, Sups)),
  All = ets:match_spec_run(Rows, ets:match_spec_compile([{{'_', '$1', worker, '_'}, [{is_pid, '$1'}], ['$1']}])),
  Known = ets:match_spec_run(Rows, ets:match_spec_compile(
    [{{'_', '$1', worker, ['Elixir.Bandit.DelegatingHandler']}, [{is_pid, '$1'}], [true]}])),
  {term_to_binary(All), length(All) - length(Known)}.
