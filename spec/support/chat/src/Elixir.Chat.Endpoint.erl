%% The endpoint, with the children that a Phoenix endpoint has: the socket's pool of channel supervisors, and the listener
%% that ranch embeds, started as Plug.Cowboy does (so its connections are typed worker).
-module('Elixir.Chat.Endpoint').
-behaviour(supervisor).
-export([start_link/0, init/1, url/0, static_url/0, path/1, static_path/1]).

-define(REF, 'Elixir.Chat.Endpoint.HTTP').

start_link() ->
    supervisor:start_link({local, ?MODULE}, ?MODULE, []).

init([]) ->
    Pool = 'Elixir.Phoenix.Socket.PoolSupervisor',
    Sockets = #{id => 'Elixir.Chat.UserSocket', start => {Pool, start_link, ['Elixir.Chat.RoomChannel']}, type => supervisor},
    Transport = #{num_acceptors => 100, max_connections => 16384,
                  socket_opts => [{ip, {127,0,0,1}}, {port, 0}, {backlog, 4096}]},
    Listener = ranch:child_spec(?REF, ranch_tcp, Transport, cowboy_clear,
                                #{env => #{dispatch => chat_app:dispatch(channels)}}),
    {ok, {#{strategy => one_for_one}, [Sockets, Listener]}}.

url() -> iolist_to_binary(["http://127.0.0.1:", integer_to_list(ranch:get_port(?REF))]).
static_url() -> url().
path(Path) -> Path.
static_path(Path) -> Path.
