%% A ranch protocol that starts a supervisor for each connection, with cowboy's process below it, as RabbitMQ's web plugins do.
-module(kiosk_connection_sup).
-behaviour(supervisor).
-export([start_listener/1, start_link/3, start_link/4, init/1]).

start_listener(Ref) ->
    Transport = #{connection_type => supervisor, socket_opts => [{ip, {127,0,0,1}}, {port, 0}]},
    {ok, _} = ranch:start_listener(Ref, ranch_tcp, Transport, ?MODULE, #{env => #{dispatch => chat_app:dispatch(plain)}}),
    ranch:get_port(Ref).

start_link(Ref, Transport, Options) -> start([Ref, Transport, Options]).
start_link(Ref, Socket, Transport, Options) -> start([Ref, Socket, Transport, Options]).

start(Arguments) ->
    {ok, Sup} = supervisor:start_link(?MODULE, []),
    {ok, Pid} = supervisor:start_child(Sup, #{id => cowboy_clear, start => {cowboy_clear, start_link, Arguments},
                                              restart => temporary, significant => true, modules => [cowboy_clear]}),
    {ok, Sup, Pid}.

%% The supervisor ends with its connection.
init([]) -> {ok, {#{auto_shutdown => any_significant}, []}}.
