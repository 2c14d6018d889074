%% Asks many processes at once, by a system message: fun(Pids, What, Timeout) -> [] or [{Pid, Reason}] of those that failed: an
%% answer that is not ok, noproc, or timeout.
%%
%% In slices, each with a mailbox of its own: else all of them would be ready to run at once, before anybody else had a turn, and
%% one call would hold up a scheduler while it reads all answers. What is done for every process is done by compiled functions.
-module(ask_many).
-export([run/0]).

run() ->
  Now = fun() -> erlang:monotonic_time(microsecond) end,
  Slice = 5000,
  Slices = fun Cut(Pids) ->
    case length(Pids) =< Slice of true -> [Pids]; false -> {Some, Others} = lists:split(Slice, Pids), [Some | Cut(Others)] end
  end,
  %% A node may be out of processes for a moment.
  Room = fun Room(Tries) ->
    try spawn_opt(timer, sleep, [infinity], [link, {priority, low}, {message_queue_data, off_heap}])
    catch error:system_limit when Tries > 0 -> timer:sleep(10), Room(Tries - 1)
    end
  end,
  Send = fun(Pids, What) ->
    Count = length(Pids),
    Box = Room(100),
    Messages = lists:zip3(lists:duplicate(Count, system), lists:zip(lists:duplicate(Count, Box), lists:seq(1, Count)),
                          lists:duplicate(Count, What)),
    _ = lists:zipwith(fun erlang:send/2, Pids, Messages),
    {Pids, Count, Box}
  end,
  Answered = fun({_, _, Box}) -> {message_queue_len, Count} = process_info(Box, message_queue_len), Count end,
  Settle = fun Settle(_, 0) -> ok;
               Settle({_, Count, _} = Sent, Tries) ->
    case Answered(Sent) >= Count of true -> ok; false -> timer:sleep(1), Settle(Sent, Tries - 1) end
  end,
  Silents = fun({Pids, Count, _}, Answers) ->
    case length(Answers) of
      Count -> [];
      _ ->
        All = list_to_tuple(Pids),
        Given = ets:match_spec_run(Answers, ets:match_spec_compile([{{'$1', '_'}, [], ['$1']}])),
        [element(I, All) || I <- lists:seq(1, Count) -- Given]
    end
  end,
  %% [] or [{Pid, Reason}], of a slice whose time is up.
  Outcome = fun({Pids, _, Box} = Sent) ->
    {messages, Answers} = process_info(Box, messages),
    unlink(Box),
    exit(Box, kill),
    Refused = ets:match_spec_run(Answers, ets:match_spec_compile([{{'$1', '$2'}, [{'=/=', '$2', ok}], [{{'$1', '$2'}}]}])),
    All = case Refused of [] -> {}; _ -> list_to_tuple(Pids) end,
    [{element(I, All), Answer} || {I, Answer} <- Refused] ++
    [{Pid, case is_process_alive(Pid) of true -> timeout; false -> noproc end} || Pid <- Silents(Sent, Answers)]
  end,
  Request = fun(Pids, What, Wait) ->
    Add = fun(Some, Before) ->
      Sent = Send(Some, What),
      Before =:= [] orelse Settle(hd(Before), 10),
      [Sent | Before]
    end,
    Sents = lists:foldl(Add, [], Slices(Pids)),
    Until = Now() + Wait * 1000,
    Collect = fun Collect(Open, Before) ->
      Left = [Sent || {_, Count, _} = Sent <- Open, Answered(Sent) < Count],
      Sum = lists:sum(lists:map(Answered, Left)),
      if
        Left =:= [] -> ok;
        length(Left) < length(Open); Sum > Before -> timer:sleep(1), Collect(Left, Sum);
        true ->
          %% Nobody has answered for a while: those that are dead never will.
          Missing = fun({_, _, Box} = Sent) ->
            {messages, Answers} = process_info(Box, messages),
            lists:any(fun erlang:is_process_alive/1, Silents(Sent, Answers))
          end,
          case Now() < Until andalso lists:any(Missing, Left) of
            true -> timer:sleep(5), Collect(Left, Sum);
            false -> ok
          end
      end
    end,
    Collect(Sents, -1),
    lists:append(lists:map(Outcome, lists:reverse(Sents)))
  end,
  fun([], _, _) -> []; (Pids, What, Wait) -> Request(Pids, What, Wait) end.
