%% A connection of Bandit: a gen_server that runs requests itself, and later is the websocket, with nothing to show for it. Its state
%% is a pair, as ThousandIsland's handlers have it: the socket, which knows when it was opened, and the handler's own.
-module('Elixir.Bandit.DelegatingHandler').
-behaviour(gen_server).
-export([start_link/0, init/1, handle_info/2, handle_call/3, handle_cast/2]).

start_link() -> gen_server:start_link(?MODULE, [], []).

init([]) ->
    Span = #{'__struct__' => 'Elixir.ThousandIsland.Telemetry', start_time => erlang:monotonic_time()},
    {ok, {#{'__struct__' => 'Elixir.ThousandIsland.Socket', span => Span}, #{}}}.

handle_info(Message, {Island, State}) ->
    case handle(Message, State) of
        {noreply, New} -> {noreply, {Island, New}};
        {stop, Reason, New} -> {stop, Reason, {Island, New}}
    end.

handle({ready, Socket}, State) ->
    ok = inet:setopts(Socket, [{active, true}]),
    {noreply, State#{socket => Socket}};
handle({tcp, Socket, Line}, State) ->
    handle_line(string:lexemes(string:trim(Line), " "), Socket, State);
handle({push, Text}, #{socket := Socket} = State) ->
    ok = gen_tcp:send(Socket, Text),
    {noreply, State};
handle({tcp_closed, _}, State) -> {stop, normal, State};
handle(_, State) -> {noreply, State}.

handle_line([<<"get">>, Ms], Socket, State) ->
    done = 'Elixir.Bandit.Pipeline':run(binary_to_integer(Ms)),
    reply(Socket, "done\n", State);
handle_line([<<"poll">>, Ms], Socket, State) ->
    done = 'Elixir.Bandit.Pipeline':run({poll, binary_to_integer(Ms)}),
    reply(Socket, "done\n", State);
handle_line([<<"upgrade">>], Socket, State) ->
    reply(Socket, "upgraded\n", State);
handle_line([<<"join">>], Socket, State) ->
    {ok, Channel} = supervisor:start_child(kiosk_pool, [self()]),
    monitor(process, Channel),
    reply(Socket, "joined\n", State#{channel => Channel});
handle_line([<<"ping">>], _Socket, #{channel := Channel} = State) ->
    Channel ! ping,
    {noreply, State}.

reply(Socket, Text, State) ->
    ok = gen_tcp:send(Socket, Text),
    {noreply, State}.

handle_call(_, _, State) -> {reply, ok, State}.
handle_cast(_, State) -> {noreply, State}.
