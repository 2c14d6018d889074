%% Who runs a request for these connections: over http/1 a connection itself, over http/2 a linked process for each request. Idle
%% ones are in their loops; of the few others the whole stack is searched.
-module(bandit_requests).
-export([run/1]).

run(Pids) ->
  Idle = fun
    ({gen_server, Loop, _}) -> Loop =:= loop orelse Loop =:= loop_hibernate; %% since OTP 29
    ({erlang, hibernate, _}) -> true;
    ({sys, _, _}) -> true;
    ({'Elixir.Phoenix.Transports.LongPoll', listen, _}) -> true; %% a poll that waits for messages
    (_) -> false
  end,
  Running = fun(Pid) ->
    case process_info(Pid, backtrace) of
      {_, Stack} -> binary:match(Stack, <<"'Elixir.Bandit.Pipeline':run">>) =/= nomatch;
      undefined -> false
    end
  end,
  Busy = fun(Among) ->
    [Pid || Pid <- Among, {_, Function} <- [process_info(Pid, current_function)], not Idle(Function), Running(Pid)]
  end,
  Streams = [Link || Pid <- Pids, {links, Links} <- [process_info(Pid, links)], Link <- Links, is_pid(Link),
                     node(Link) =:= node(),
                     {_, Entries} <- [process_info(Link, dictionary)],
                     proplists:get_value('$initial_call', Entries) =:= {'Elixir.Bandit.HTTP2.StreamProcess', init, 1}],
  Busy(Pids) ++ Busy(Streams).
