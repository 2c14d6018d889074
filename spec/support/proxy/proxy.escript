#!/usr/bin/env escript
%% A TCP proxy on the loopback: proxy.escript TARGET_PORT. Prints "port N"; then takes commands, one a line:
%%
%%   cut      resets all connections and takes no new ones
%%   reset    resets all connections, and takes new ones
%%   silence  a black hole: nothing is read, written, taken or closed any more, in neither direction
%%   record F writes what passes from now on, both ways, into the file F
%%   slow N   passes no more than some N bytes a millisecond from now on
%%   heal     takes connections again; after a silence, all that was kept meanwhile is delivered, in its order
%%
%% and answers each with "done". What arrives in a silence is kept by the kernel, the first of it in our mailbox.
-mode(compile).

main([Target]) ->
    {ok, Listen} = gen_tcp:listen(0, [binary, {ip, {127,0,0,1}}, {active, false}, {nodelay, true}, {backlog, 128}]),
    {ok, Port} = inet:port(Listen),
    Self = self(),
    spawn_link(fun() -> accept(Self, Listen) end),
    spawn_link(fun() -> commands(Self) end),
    io:format("port ~b~n", [Port]),
    serve(list_to_integer(Target), open, []).

accept(To, Listen) ->
    {ok, Socket} = gen_tcp:accept(Listen),
    ok = gen_tcp:controlling_process(Socket, To),
    To ! {accepted, Socket},
    accept(To, Listen).

commands(To) ->
    case io:get_line("") of
        eof -> To ! eof;
        Line -> To ! {command, string:trim(Line)}, commands(To)
    end.

serve(Target, State, Pairs) ->
    receive
        {accepted, Socket} when State =:= cut ->
            gen_tcp:close(Socket),
            serve(Target, State, Pairs);
        {accepted, Socket} ->
            case gen_tcp:connect({127,0,0,1}, Target, [binary, {active, true}, {nodelay, true}], 2000) of
                {ok, Other} ->
                    inet:setopts(Socket, [{active, true}]),
                    serve(Target, State, [{Socket, Other}, {Other, Socket} | Pairs]);
                {error, _} ->
                    gen_tcp:close(Socket),
                    serve(Target, State, Pairs)
            end;
        {tcp, From, Data} ->
            [file:write(File, Data) || File <- [get(record)], File =/= undefined],
            [gen_tcp:send(To, Data) || {F, To} <- Pairs, F =:= From],
            take_time(get(slow), byte_size(Data)),
            serve(Target, State, Pairs);
        {tcp_closed, From} ->
            [gen_tcp:close(To) || {F, To} <- Pairs, F =:= From],
            serve(Target, State, [Pair || {F, T} = Pair <- Pairs, F =/= From, T =/= From]);
        {tcp_error, From, _} ->
            self() ! {tcp_closed, From},
            serve(Target, State, Pairs);
        {command, "silence"} ->
            [inet:setopts(S, [{active, false}]) || {S, _} <- Pairs],
            done(),
            receive
                {command, "heal"} -> ok;
                eof -> halt(0)
            end,
            [inet:setopts(S, [{active, true}]) || {S, _} <- Pairs],
            done(),
            serve(Target, State, Pairs);
        {command, "record " ++ Name} ->
            {ok, File} = file:open(Name, [write, raw, binary]),
            put(record, File),
            done(),
            serve(Target, State, Pairs);
        {command, "slow " ++ Bytes} ->
            put(slow, {list_to_integer(Bytes), 0}),
            done(),
            serve(Target, State, Pairs);
        {command, "heal"} ->
            done(),
            serve(Target, open, Pairs);
        {command, Reset} ->
            %% With a reset, as a connection ends that nobody ended in order.
            [begin inet:setopts(S, [{linger, {true, 0}}]), gen_tcp:close(S) end || {S, _} <- Pairs],
            done(),
            serve(Target, case Reset of "cut" -> cut; "reset" -> State end, []);
        eof ->
            ok
    end.

take_time(undefined, _) -> ok;
take_time({Most, Before}, More) ->
    timer:sleep((Before + More) div Most),
    put(slow, {Most, (Before + More) rem Most}).

done() -> io:format("done~n").
