%% A plain TCP copy into a file, for bench/ship.lua to be held against: no checksum, no other name; with Sync as ours is synced.
-module(copying).
-export([listen/2]).

%% Listens on a port of loopback, takes one connection, and copies whatever comes: 8 bytes of size, then the bytes; answers "." each.
listen(Path, Sync) ->
    Me = self(),
    spawn(fun() ->
        {ok, Listen} = gen_tcp:listen(0, [binary, {active, false}, {ip, {127, 0, 0, 1}}, {packet, raw}, {buffer, 1048576}]),
        {ok, Port} = inet:port(Listen),
        Me ! {port, Port},
        {ok, Socket} = gen_tcp:accept(Listen),
        serve(Socket, Path, Sync)
    end),
    receive {port, Port} -> Port end.

serve(Socket, Path, Sync) ->
    case gen_tcp:recv(Socket, 8) of
        {ok, <<Size:64>>} ->
            {ok, File} = file:open(Path, [write, raw, binary]),
            copy(Socket, File, Size),
            ok = case Sync of true -> file:sync(File); false -> ok end,
            ok = file:close(File),
            ok = file:delete(Path),
            ok = gen_tcp:send(Socket, "."),
            serve(Socket, Path, Sync);
        {error, closed} -> ok
    end.

copy(_, _, 0) -> ok;
copy(Socket, File, Left) ->
    {ok, Bytes} = gen_tcp:recv(Socket, min(Left, 1048576)),
    ok = file:write(File, Bytes),
    copy(Socket, File, Left - byte_size(Bytes)).
