%% How many of these mailboxes hold more than Max messages, and the most that one of them holds; by compiled functions, as there
%% may be many.
-module(long_mailboxes).
-export([run/2]).

run(Pids, Max) ->
  All = lists:zipwith(fun erlang:process_info/2, Pids, lists:duplicate(length(Pids), message_queue_len)),
  Over = ets:match_spec_run(All, ets:match_spec_compile([{{message_queue_len, '$1'}, [{'>', '$1', Max}], ['$1']}])),
  {length(Over), lists:max([0 | Over])}.
