%% The chat application: what a Phoenix application on cowboy looks like from outside, and two plain cowboy listeners.
%% Every module is compiled for each version of the release with -DVSN="1.0.0" and so on; what differs is what they answer.
%%
%% When everything listens, the ports are written to the file that the environment variable CHAT_PORTS names.
-module(chat_app).
-behaviour(application).
-behaviour(supervisor).
-export([start/2, stop/1, init/1, dispatch/1]).

start(_Type, _Args) ->
    {ok, Sup} = supervisor:start_link({local, 'Elixir.Chat.Supervisor'}, ?MODULE, []),
    %% As cowboy starts it by default, ranch's connections are typed supervisor: release_handler asks them for children.
    {ok, _} = cowboy:start_clear(chat_plain, transport(), protocol()),
    %% Straight from ranch, as Plug.Cowboy does it, they are typed worker.
    {ok, _} = ranch:start_listener(chat_workers, ranch_tcp, transport(), cowboy_clear, protocol()),
    announce_ports(os:getenv("CHAT_PORTS")),
    {ok, Sup}.

stop(_State) ->
    _ = cowboy:stop_listener(chat_plain),
    _ = cowboy:stop_listener(chat_workers),
    ok.

init([]) ->
    Endpoint = 'Elixir.Chat.Endpoint',
    {ok, {#{strategy => one_for_one},
          [#{id => chat_counter, start => {chat_counter, start_link, []}},
           #{id => 'Elixir.Chat.PubSub', start => {'Elixir.Chat.PubSub', start_link, []}},
           #{id => Endpoint, start => {Endpoint, start_link, []}, type => supervisor}]}}.

%% The routes of a listener whose websockets have channels, or whose websockets are plain.
dispatch(Kind) ->
    cowboy_router:compile([{'_', [{"/socket/websocket", chat_socket, Kind}, {'_', chat_http, []}]}]).

transport() ->
    #{max_connections => infinity, socket_opts => [{ip, {127,0,0,1}}, {port, 0}, {backlog, 4096}]}.

protocol() ->
    #{env => #{dispatch => dispatch(plain)}}.

announce_ports(false) ->
    ok;
announce_ports(File) ->
    Ports = [io_lib:format("~s ~b~n", [Name, ranch:get_port(Ref)])
             || {Name, Ref} <- [{endpoint, 'Elixir.Chat.Endpoint.HTTP'}, {plain, chat_plain}, {workers, chat_workers}]],
    ok = file:write_file(File ++ ".new", Ports),
    ok = file:rename(File ++ ".new", File).
