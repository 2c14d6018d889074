%% A connection of cowboy 1: a bare process that waits for requests, runs them inside of execute, and may turn into a websocket,
%% which answers no sys messages.
-module(cowboy_protocol).
-export([start_link/3, start_link/4, init/1, execute/2]).

start_link(Ref, _Socket, Transport, Options) -> start_link(Ref, Transport, Options).
start_link(Ref, _Transport, _Options) -> {ok, spawn_link(?MODULE, init, [Ref])}.

init(Ref) ->
    {ok, Socket} = ranch:handshake(Ref),
    ok = inet:setopts(Socket, [{active, false}]),
    wait(Ref, Socket).

wait(Ref, Socket) ->
    case gen_tcp:recv(Socket, 0) of
        {ok, <<"get ", Ms/binary>>} ->
            done = execute(Socket, binary_to_integer(string:trim(Ms))),
            wait(Ref, Socket);
        {ok, <<"poll ", Ms/binary>>} ->
            done = execute(Socket, {poll, binary_to_integer(string:trim(Ms))}),
            wait(Ref, Socket);
        {ok, <<"upgrade", _/binary>>} ->
            ranch:remove_connection(Ref),
            ok = gen_tcp:send(Socket, "upgraded\n"),
            ok = inet:setopts(Socket, [{active, true}]),
            websocket(Socket, none);
        {error, _} -> ok
    end.

execute(Socket, {poll, Ms}) ->
    _ = 'Elixir.Phoenix.Transports.LongPoll':listen(none, none, none, none, Ms),
    ok = gen_tcp:send(Socket, "done\n"),
    done;
execute(Socket, Ms) ->
    timer:sleep(Ms),
    ok = gen_tcp:send(Socket, "done\n"),
    done.

websocket(Socket, Channel) ->
    receive
        {tcp, Socket, <<"join", _/binary>>} ->
            {ok, New} = 'Elixir.Phoenix.Channel.Server':start_link(self()),
            ok = gen_tcp:send(Socket, "joined\n"),
            websocket(Socket, New);
        {tcp, Socket, <<"ping", _/binary>>} ->
            Channel ! ping,
            websocket(Socket, Channel);
        {push, Text} ->
            ok = gen_tcp:send(Socket, Text),
            websocket(Socket, Channel);
        {tcp_closed, Socket} -> ok;
        _ -> websocket(Socket, Channel)
    end.
