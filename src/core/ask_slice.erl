%% Asks a slice of processes at once, by a system message, from the process that evaluates this, which is their mailbox and then ends:
%% {Refused, Dead, Silent} of those that failed, by their numbers, from First: tuples of the {I, Answer} that are not ok, of those that
%% are dead, and of those that have not answered within Wait ms. Rest is ask_rest.erl: what is seldom needed is not decoded each time.
%%
%% Last is asked last, and waited for as sys does: when it has answered, nearly all have. What is done for every process is done by
%% compiled functions. Whoever waits does so with low priority: those that are asked go first.
-module(ask_slice).
-export([run/6]).

run(First, Last, Others, Rest, Wait, What) ->
  Count = length(Others),
  Numbers = lists:seq(First, First + Count),
  Tags = lists:zip(lists:duplicate(Count, self()), lists:droplast(Numbers)),
  Requests = lists:zip3(lists:duplicate(Count, system), Tags, lists:duplicate(Count, What)),
  Until = erlang:monotonic_time(millisecond) + Wait,
  _ = lists:zipwith(fun erlang:send/2, Others, Requests),
  process_flag(priority, low),
  try gen:call(Last, system, What, Wait) of {ok, Answer} -> self() ! {First + Count, Answer} catch exit:_ -> silent end,
  Await = fun Await(0) -> late;
              Await(Tries) ->
    case process_info(self(), message_queue_len) of
      {_, Queued} when Queued > Count -> ok;
      _ -> erlang:yield(), Await(Tries - 1)
    end
  end,
  Await(20),
  {messages, Answers} = process_info(self(), messages),
  Well = ets:match_spec_run(Answers, ets:match_spec_compile([{{'$1', ok}, [{is_integer, '$1'}], ['$1']}])),
  case lists:sort(Well) of
    Numbers -> {{}, {}, {}};
    _ ->
      Bound = [{'All', list_to_tuple(Others ++ [Last])}, {'First', First}, {'Numbers', Numbers}, {'Until', Until}],
      erl_eval:expr(binary_to_term(Rest), Bound, none, none, value)
  end.
