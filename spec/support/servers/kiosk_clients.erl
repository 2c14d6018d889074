%% Clients that live on the node: of the line servers, and websockets over TLS. `open` gives a process that holds the sockets.
-module(kiosk_clients).
-export([open/3, ping/2, open_tls/2, tls_listener/1, close/1]).

%% Opens sockets and sends each of them these lines, waiting for an answer to each.
open(Port, Count, Lines) ->
    hold(fun() ->
        [begin
             {ok, Socket} = gen_tcp:connect({127,0,0,1}, Port, [binary, {packet, line}, {active, false}]),
             [{ok, _} = ask(Socket, Line) || Line <- Lines],
             Socket
         end || _ <- lists:seq(1, Count)]
    end).

%% How many of the sockets answer a ping within so many ms, all together.
ping(Holder, Ms) ->
    Ref = make_ref(),
    Holder ! {ping, self(), Ref, Ms},
    receive {Ref, Count} -> Count end.

close(Holder) ->
    exit(Holder, kill),
    ok.

ask(Socket, Line) ->
    ok = gen_tcp:send(Socket, [Line, $\n]),
    gen_tcp:recv(Socket, 0, 5000).

hold(Open) ->
    Parent = self(),
    Pid = spawn(fun() -> Sockets = Open(), Parent ! {self(), ready}, serve(Sockets) end),
    receive {Pid, ready} -> Pid after 10000 -> error(no_clients) end.

serve(Sockets) ->
    receive
        {ping, From, Ref, Ms} ->
            [ok = gen_tcp:send(Socket, "ping\n") || Socket <- Sockets],
            Deadline = erlang:monotonic_time(millisecond) + Ms,
            Left = fun() -> max(0, Deadline - erlang:monotonic_time(millisecond)) end,
            From ! {Ref, length([ok || Socket <- Sockets, {ok, <<"pong\n">>} <- [gen_tcp:recv(Socket, 0, Left())]])},
            serve(Sockets)
    end.

%% A listener of cowboy over TLS, with a certificate made for it; gives its port.
tls_listener(Ref) ->
    {ok, _} = application:ensure_all_started(ssl),
    Key = {namedCurve, secp256r1},
    #{server_config := Config} = public_key:pkix_test_data(
        #{server_chain => #{root => [{key, Key}], intermediates => [], peer => [{key, Key}]},
          client_chain => #{root => [{key, Key}], intermediates => [], peer => [{key, Key}]}}),
    Options = #{socket_opts => [{ip, {127,0,0,1}}, {port, 0} | Config]},
    {ok, _} = ranch:start_listener(Ref, ranch_ssl, Options, cowboy_tls, #{env => #{dispatch => chat_app:dispatch(plain)}}),
    ranch:get_port(Ref).

open_tls(Port, Count) ->
    hold(fun() -> [upgrade_tls(Port) || _ <- lists:seq(1, Count)] end).

upgrade_tls(Port) ->
    {ok, Socket} = ssl:connect({127,0,0,1}, Port, [binary, {active, false}, {verify, verify_none}]),
    ok = ssl:send(Socket, ["GET /socket/websocket HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\n",
                           "sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"]),
    {ok, <<"HTTP/1.1 101", _/binary>>} = ssl:recv(Socket, 0, 5000),
    Socket.
