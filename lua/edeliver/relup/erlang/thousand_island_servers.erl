%% What is below each server: `{Port, HasListener, [{AcceptorSupervisor, HasAcceptor, ConnectionSupervisor}], CanRefuse}`. Only
%% supervisors are asked, and nothing but their children.
-module(thousand_island_servers).
-export([run/1]).

run(Servers) ->
  Port = fun(Pid) ->
    {links, Links} = process_info(Pid, links),
    case [N || P <- Links, is_port(P), {ok, {_, N}} <- [inet:sockname(P)], is_integer(N)] of
      [N | _] -> N;
      [] -> undefined
    end
  end,
  Child = fun(Id, Children) ->
    case lists:keyfind(Id, 1, Children) of {_, Pid, _, _} when is_pid(Pid) -> Pid; _ -> undefined end
  end,
  Pool = fun(undefined) -> [];
            (Pid) ->
              [begin
                 Children = supervisor:which_children(Sup),
                 {Sup, Child(acceptor, Children) =/= undefined, Child(connection_sup, Children)}
               end || {_, Sup, supervisor, _} <- supervisor:which_children(Pid), is_pid(Sup)]
         end,
  CanRefuse = erlang:function_exported('Elixir.ThousandIsland', suspend, 1),
  [begin
     Children = supervisor:which_children(Server),
     Listener = Child(listener, Children),
     {case Listener of undefined -> undefined; _ -> try Port(Listener) catch _:_ -> undefined end end, Listener =/= undefined,
      Pool(Child(acceptor_pool_supervisor, Children)), CanRefuse}
   end || Server <- Servers].
