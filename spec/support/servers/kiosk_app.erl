%% Servers that Debian does not carry, as they look from outside: names, trees, links and monitors are those that real
%% applications were seen to have, and no more of them. They speak lines of text instead of http and websocket frames:
%%
%%   get MS     a request that takes so long: "done"
%%   upgrade    makes the connection a websocket: "upgraded"
%%   join       starts a channel, on a websocket: "joined"
%%   ping       "pong", from the channel
%%
%% The application kiosk has an endpoint on Bandit, booth one on cowboy 1; tell each client apart by the port.
-module(kiosk_app).
-behaviour(application).
-behaviour(supervisor).
-export([start/2, stop/1, init/1, start_application/1]).

%% Without an .app file: the modules are loaded already.
start_application(Name) ->
    ok = application:load({application, Name, [{description, ""}, {vsn, "1"}, {modules, []}, {registered, []},
                                               {applications, [kernel, stdlib]}, {mod, {kiosk_app, Name}}]}),
    application:start(Name).

start(_Type, Name) -> supervisor:start_link(?MODULE, Name).
stop(_State) -> ok.

init(kiosk) -> {ok, {#{}, [child('Elixir.Kiosk.Endpoint')]}};
init(booth) -> {ok, {#{}, [child('Elixir.Booth.Endpoint')]}};
%% Phoenix's supervisor of those who poll: one process each.
init(kiosk_polls) ->
    {ok, {#{strategy => simple_one_for_one},
          [#{id => poll, start => {'Elixir.Phoenix.Channel.Server', start_link, []}, restart => temporary}]}}.

child(Endpoint) -> #{id => Endpoint, start => {Endpoint, start_link, []}, type => supervisor}.
