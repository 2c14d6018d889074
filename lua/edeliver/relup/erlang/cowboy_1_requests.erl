%% Which of these connections run a request: cowboy 1 does it in the connection's process; an idle one waits for the next request
%% outside of `execute`. A poll of Phoenix's long polling that waits for messages is none.
-module(cowboy_1_requests).
-export([run/1]).

run(Pids) ->
  Polls = fun(Pid) ->
    case process_info(Pid, current_function) of
      {_, {'Elixir.Phoenix.Transports.LongPoll', listen, _}} -> true;
      _ -> false
    end
  end,
  [Pid || Pid <- Pids, {_, Stack} <- [process_info(Pid, backtrace)],
          binary:match(Stack, <<"cowboy_protocol:execute">>) =/= nomatch, not Polls(Pid)].
