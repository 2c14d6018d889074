%% What carries the connection of a pid's node: a port or a process, which no later connection has, though a node that was named
%% for the time of a connection may be the namesake of another one before.
-module(carrier).
-export([run/1]).

run(Pid) -> {node(Pid), proplists:get_value(node(Pid), erlang:system_info(dist_ctrl))}.
