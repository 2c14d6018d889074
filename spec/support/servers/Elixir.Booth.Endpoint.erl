%% A Phoenix endpoint up to 1.3: a listener of cowboy 1, embedded below a supervisor of its own. Channels are in no supervisor.
-module('Elixir.Booth.Endpoint').
-behaviour(supervisor).
-export([start_link/0, start_server/0, init/1, url/0, static_url/0, path/1, static_path/1]).

-define(SERVER, 'Elixir.Booth.Endpoint.Server').

start_link() -> supervisor:start_link({local, ?MODULE}, ?MODULE, endpoint).
start_server() -> supervisor:start_link({local, ?SERVER}, ?MODULE, server).

init(endpoint) ->
    {ok, {#{}, [#{id => 'Elixir.Phoenix.Endpoint.Handler', start => {?MODULE, start_server, []}, type => supervisor}]}};
init(server) ->
    Transport = #{num_acceptors => 10, socket_opts => [{ip, {127,0,0,1}}, {port, 0}, {packet, line}]},
    {ok, {#{}, [ranch:child_spec('Elixir.Booth.Endpoint.HTTP', ranch_tcp, Transport, cowboy_protocol, [])]}}.

url() -> "".
static_url() -> "".
path(Path) -> Path.
static_path(Path) -> Path.
