%% A server of ThousandIsland: listener, pool of acceptor-N supervisors, and below each an acceptor and its connections.
-module('Elixir.ThousandIsland').
-behaviour(supervisor).
-export([start_link/0, init/1, suspend/1, resume/1]).
-export([start_listener/0, start_acceptor/2, accept/2]).

-define(ACCEPTORS, 10).

start_link() -> supervisor:start_link(?MODULE, server).

init(server) ->
    Server = self(),
    {ok, {#{strategy => rest_for_one},
          [#{id => listener, start => {?MODULE, start_listener, []}, modules => ['Elixir.ThousandIsland.Listener']},
           #{id => acceptor_pool_supervisor, start => {supervisor, start_link, [?MODULE, {pool, Server}]}, type => supervisor,
             modules => ['Elixir.ThousandIsland.AcceptorPoolSupervisor']}]}};
init({pool, Server}) ->
    {ok, {#{}, [#{id => iolist_to_binary(["acceptor-", integer_to_list(N)]),
                  start => {supervisor, start_link, [?MODULE, {acceptor, Server}]}, type => supervisor,
                  modules => ['Elixir.ThousandIsland.AcceptorSupervisor']} || N <- lists:seq(1, ?ACCEPTORS)]}};
init({acceptor, Server}) ->
    {ok, {#{strategy => rest_for_one},
          [#{id => connection_sup, start => {supervisor, start_link, [?MODULE, connections]}, type => supervisor,
             modules => ['Elixir.DynamicSupervisor']},
           #{id => acceptor, start => {?MODULE, start_acceptor, [Server, self()]}, restart => transient,
             modules => ['Elixir.ThousandIsland.Acceptor']}]}};
init(connections) ->
    {ok, {#{strategy => simple_one_for_one},
          [#{id => connection, start => {'Elixir.Bandit.DelegatingHandler', start_link, []}, restart => temporary}]}}.

suspend(Server) ->
    [supervisor:terminate_child(Sup, acceptor) || Sup <- acceptor_sups(Server)],
    supervisor:terminate_child(Server, listener).

resume(Server) ->
    _ = supervisor:restart_child(Server, listener),
    [supervisor:restart_child(Sup, acceptor) || Sup <- acceptor_sups(Server)],
    ok.

acceptor_sups(Server) -> [Sup || {_, Sup, _, _} <- supervisor:which_children(child(Server, acceptor_pool_supervisor))].

child(Sup, Id) ->
    {Id, Pid, _, _} = lists:keyfind(Id, 1, supervisor:which_children(Sup)),
    Pid.

%% It listens on the same port again after a suspend.
start_listener() ->
    Parent = self(),
    Pid = spawn_link(fun() ->
        {ok, Socket} = gen_tcp:listen(persistent_term:get(kiosk_port, 0),
                                      [binary, {packet, line}, {active, false}, {reuseaddr, true}, {ip, {127,0,0,1}},
                                       {backlog, 1024}]),
        {ok, Port} = inet:port(Socket),
        persistent_term:put(kiosk_port, Port),
        Parent ! {self(), listening},
        serve_socket(Socket)
    end),
    receive {Pid, listening} -> {ok, Pid} end.

serve_socket(Socket) ->
    receive {From, socket} -> From ! {self(), Socket} end,
    serve_socket(Socket).

start_acceptor(Server, Sup) -> {ok, spawn_link(?MODULE, accept, [Server, Sup])}.

accept(Server, Sup) ->
    Listener = child(Server, listener),
    Listener ! {self(), socket},
    Socket = receive {Listener, Given} -> Given end,
    accept_next(Socket, child(Sup, connection_sup)).

accept_next(Listening, Connections) ->
    {ok, Socket} = gen_tcp:accept(Listening),
    {ok, Pid} = supervisor:start_child(Connections, []),
    ok = gen_tcp:controlling_process(Socket, Pid),
    Pid ! {ready, Socket},
    accept_next(Listening, Connections).
