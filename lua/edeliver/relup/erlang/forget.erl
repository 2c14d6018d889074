%% Has the node forget a connection, by what carries it, where it has not noticed yet that it is lost: what is linked to its pids has
%% been told to end when the nodedown comes.
-module(forget).
-export([run/2]).

run(Carrier, New) ->
  {Node, _} = Carrier,
  case Node =/= node(New) andalso lists:member(Carrier, erlang:system_info(dist_ctrl)) of
    true ->
      monitor_node(Node, true),
      erlang:disconnect_node(Node),
      %% No receive here has a time of its own: see guard.erl.
      Late = erlang:start_timer(2000, self(), late),
      receive {nodedown, Node} -> true; {timeout, Late, _} -> false end;
    false -> true
  end.
