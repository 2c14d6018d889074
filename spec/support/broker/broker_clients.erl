%% Clients of a message broker: over websockets, STOMP or MQTT, and of its http interface, by requests on connections that stay
%% open. `open` gives a process that holds the sockets.
-module(broker_clients).
-export([open/3, ping/2, close/1]).

%% Opens sockets that have logged in.
open(Protocol, Port, Count) ->
    Parent = self(),
    Pid = spawn(fun() ->
        Sockets = [connect(Protocol, Port) || _ <- lists:seq(1, Count)],
        Parent ! {self(), ready},
        serve(Protocol, Sockets)
    end),
    Monitor = monitor(process, Pid),
    receive
        {Pid, ready} -> demonitor(Monitor, [flush]), Pid;
        {'DOWN', Monitor, process, Pid, Reason} -> error(Reason)
    end.

%% How many of the sockets answer within so many ms, all together; an answer to an earlier ping counts.
ping(Holder, Ms) ->
    Ref = make_ref(),
    Holder ! {ping, self(), Ref, Ms},
    receive {Ref, Count} -> Count end.

close(Holder) ->
    exit(Holder, kill),
    ok.

serve(Protocol, Sockets) ->
    receive
        {ping, From, Ref, Ms} ->
            [ok = ask(Protocol, Socket) || Socket <- Sockets],
            Deadline = erlang:monotonic_time(millisecond) + Ms,
            Left = fun() -> max(0, Deadline - erlang:monotonic_time(millisecond)) end,
            From ! {Ref, length([ok || Socket <- Sockets, is_answer(Protocol, answer(Protocol, Socket, Left()))])},
            serve(Protocol, Sockets)
    end.

%% ---- what they say ----

connect(http, Port) ->
    {ok, Socket} = gen_tcp:connect({127,0,0,1}, Port, [binary, {active, false}]),
    Socket;
connect(bare_mqtt, Port) ->
    Socket = connect(http, Port),
    ok = gen_tcp:send(Socket, hello(mqtt)),
    {ok, Answer} = gen_tcp:recv(Socket, 4, 10000),
    true = is_welcome(mqtt, Answer),
    Socket;
connect(Protocol, Port) ->
    Socket = connect(http, Port),
    ok = gen_tcp:send(Socket, ["GET /ws HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\n",
                               "sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
                               "sec-websocket-protocol: ", subprotocol(Protocol), "\r\n\r\n"]),
    {ok, <<"HTTP/1.1 101", _/binary>>} = read_head(Socket, <<>>, 10000),
    ok = say(Socket, hello(Protocol)),
    {ok, Answer} = hear(Socket, 10000),
    true = is_welcome(Protocol, Answer),
    Socket.

subprotocol(stomp) -> "v12.stomp";
subprotocol(mqtt) -> "mqtt".

hello(stomp) -> <<"CONNECT\naccept-version:1.2\nhost:/\nlogin:guest\npasscode:guest\n\n", 0>>;
hello(mqtt) ->
    Text = fun(T) -> <<(byte_size(T)):16, T/binary>> end,
    Id = integer_to_binary(erlang:unique_integer([positive])),
    Rest = <<(Text(<<"MQTT">>))/binary, 4, 2#11000010, 0:16, (Text(Id))/binary, (Text(<<"guest">>))/binary, (Text(<<"guest">>))/binary>>,
    <<16#10, (byte_size(Rest)), Rest/binary>>.

is_welcome(stomp, <<"CONNECTED", _/binary>>) -> true;
is_welcome(mqtt, <<16#20, 2, _, 0>>) -> true;
is_welcome(_, _) -> false.

ask(http, Socket) -> gen_tcp:send(Socket, "GET /api/whoami HTTP/1.1\r\nhost: x\r\nauthorization: Basic Z3Vlc3Q6Z3Vlc3Q=\r\n\r\n");
ask(Protocol, Socket) -> say(Socket, question(Protocol)).

question(stomp) -> <<"BEGIN\ntransaction:", (integer_to_binary(erlang:unique_integer([positive])))/binary, "\nreceipt:1\n\n", 0>>;
question(mqtt) -> <<16#C0, 0>>.

answer(http, Socket, Ms) ->
    {ok, Head} = read_head(Socket, <<>>, Ms),
    {match, [Length]} = re:run(Head, <<"content-length: (\\d+)">>, [{capture, all_but_first, binary}]),
    {ok, _} = gen_tcp:recv(Socket, binary_to_integer(Length), Ms),
    {ok, Head};
answer(_, Socket, Ms) -> hear(Socket, Ms).

is_answer(http, {ok, <<"HTTP/1.1 200", _/binary>>}) -> true;
is_answer(stomp, {ok, <<"RECEIPT", _/binary>>}) -> true;
is_answer(mqtt, {ok, <<16#D0, 0>>}) -> true;
is_answer(_, _) -> false.

%% ---- websocket frames: a mask of zeros; no frame of the server is longer than 64 KiB ----

say(Socket, Data) when byte_size(Data) < 126 -> gen_tcp:send(Socket, <<16#82, 1:1, (byte_size(Data)):7, 0:32, Data/binary>>).

hear(Socket, Ms) ->
    case gen_tcp:recv(Socket, 2, Ms) of
        {ok, <<1:1, _:3, _:4, 0:1, 126:7>>} -> {ok, <<Size:16>>} = gen_tcp:recv(Socket, 2, 1000), gen_tcp:recv(Socket, Size, 1000);
        {ok, <<1:1, _:3, _:4, 0:1, Size:7>>} when Size > 0 -> gen_tcp:recv(Socket, Size, 1000);
        Other -> Other
    end.

read_head(Socket, Read, Ms) ->
    case binary:match(Read, <<"\r\n\r\n">>) of
        nomatch -> {ok, More} = gen_tcp:recv(Socket, 1, Ms), read_head(Socket, <<Read/binary, More/binary>>, Ms);
        _ -> {ok, Read}
    end.
