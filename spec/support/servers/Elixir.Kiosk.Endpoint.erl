%% A Phoenix endpoint on Bandit: the server's id is {Endpoint, http}, and beside it stands the socket's pool of channels.
-module('Elixir.Kiosk.Endpoint').
-behaviour(supervisor).
-export([start_link/0, init/1, url/0, static_url/0, path/1, static_path/1, '__sockets__'/0]).

start_link() -> supervisor:start_link({local, ?MODULE}, ?MODULE, endpoint).

init(endpoint) ->
    {ok, {#{}, [#{id => 'Elixir.Kiosk.UserSocket', start => {supervisor, start_link, [{local, kiosk_pool}, ?MODULE, pool]},
                  type => supervisor, modules => ['Elixir.Phoenix.Socket.PoolSupervisor']},
                #{id => {?MODULE, http}, start => {'Elixir.ThousandIsland', start_link, []}, type => supervisor,
                  modules => ['Elixir.Bandit']}]}};
init(pool) ->
    {ok, {#{strategy => simple_one_for_one},
          [#{id => channel, start => {'Elixir.Phoenix.Channel.Server', start_link, []}, restart => temporary,
             modules => ['Elixir.Kiosk.RoomChannel']}]}}.

url() -> "".
static_url() -> "".
path(Path) -> Path.
static_path(Path) -> Path.
'__sockets__'() -> [{"/socket", 'Elixir.Kiosk.UserSocket', [{websocket, [{timeout, 45000}]}, {longpoll, false}]}].
