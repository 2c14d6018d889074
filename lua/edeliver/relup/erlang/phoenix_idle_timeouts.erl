%% The idle timeouts of websockets as the sockets of these endpoints declare them: ms, Phoenix's default, or infinity.
-module(phoenix_idle_timeouts).
-export([run/1]).

run(Endpoints) ->
  Sockets = lists:append([E:'__sockets__'() || E <- Endpoints, erlang:function_exported(E, '__sockets__', 0)]),
  Options = [proplists:get_value(websocket, Opts, true) || {_, _, Opts} <- Sockets, is_list(Opts)],
  [case Given of true -> 60000; List -> proplists:get_value(timeout, List, 60000) end || Given <- Options, Given =/= false].
