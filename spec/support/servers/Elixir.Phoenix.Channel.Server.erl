%% A channel: linked to its websocket up to Phoenix 1.3, below a pool since, where each monitors the other.
-module('Elixir.Phoenix.Channel.Server').
-behaviour(gen_server).
-export([start_link/1, init/1, handle_info/2, handle_call/3, handle_cast/2]).

start_link(Transport) -> gen_server:start_link(?MODULE, Transport, []).

init(Transport) ->
    put('$callers', [Transport]),
    monitor(process, Transport),
    _ = [ok = 'Elixir.Chat.PubSub':subscribe(<<"kiosk:till">>, Transport) || whereis('Elixir.Chat.PubSub') =/= undefined],
    {ok, Transport}.

handle_info(ping, Transport) ->
    Transport ! {push, "pong\n"},
    {noreply, Transport};
handle_info({'DOWN', _, process, _, _}, Transport) -> {stop, normal, Transport}.

handle_call(_, _, Transport) -> {reply, ok, Transport}.
handle_cast(_, Transport) -> {noreply, Transport}.
