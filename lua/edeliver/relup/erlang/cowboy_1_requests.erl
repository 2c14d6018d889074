%% Which of these connections run a request: cowboy 1 does it in the connection's process; an idle one waits for the next request
%% outside of `execute`.
-module(cowboy_1_requests).
-export([run/1]).

run(Pids) ->
  [Pid || Pid <- Pids, {_, Stack} <- [process_info(Pid, backtrace)],
          binary:match(Stack, <<"cowboy_protocol:execute">>) =/= nomatch].
