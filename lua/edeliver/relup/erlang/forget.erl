%% Has the node forget the connection of a pid, where it has not noticed yet that it is lost: what is linked to that pid has been
%% told to end when the nodedown comes.
-module(forget).
-export([run/2]).

run(Old, New) ->
  Node = node(Old),
  case Node =/= node(New) andalso lists:member(Node, nodes(hidden)) of
    true ->
      monitor_node(Node, true),
      erlang:disconnect_node(Node),
      receive {nodedown, Node} -> true after 2000 -> false end;
    false -> true
  end.
