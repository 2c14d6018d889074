%% A program full of websocket clients, told what to do by lines on its standard input; each line gets one line in answer.
%% Every socket sends `ping 1`, `ping 2`, ... at an interval and checks off what comes back; one that is closed is opened
%% anew, which counts as a reconnect, and the pings that nobody will answer any more count as lost. One with a LIFE closes
%% by itself after about that long, once all of its pings were answered, and opens anew, which counts as renewed.
%%
%%   open COUNT PORT PATH TOPIC FRAME MS LIFE
%%                       opens that many (TOPIC - joins none; FRAME is ping or heartbeat; LIFE is in ms, 0 for good):
%%                       "opened N failed N"
%%   stats               name value name value ..., over all sockets; `still` is how long a ping waited, at most, on a socket
%%   reset               as stats; then `still` and the versions start anew, with no answer counted twice or not at all
%%   pause | go          stops and starts sending, and the closing of those with a LIFE: "ok"
%%   drain MS            pauses, waits until every ping is answered or MS have passed, then as stats
%%   say TEXT            the socket opened first says TEXT to its topic: "ok"
%%   close               closes all websockets: "ok"
%%   get ID PORT PATH    "ok" at once; "got ID STATUS BODY" or "got ID error REASON" when it is there. The connection stays open
%%   hangup              closes the connections of all gets: "ok"
-module(chat_clients).
-export([main/0]).

-record(socket, {parent, target, gun, stream, monitor, state = closed, sending = true, leaving = false, pending = queue:new(),
                 next = 1, answered = 0, lost = 0, disorder = 0, broadcasts = 0, reconnects = 0, renewed = 0, refused = 0,
                 still = 0, versions = #{}}).

main() ->
    {ok, _} = application:ensure_all_started(gun),
    Self = self(),
    spawn_link(fun() -> read_lines(Self) end),
    say("ready"),
    serve(#{sockets => [], gets => []}).

read_lines(Parent) ->
    case io:get_line("") of
        Line when is_list(Line) -> Parent ! {line, string:lexemes(string:trim(Line), " ")}, read_lines(Parent);
        _ -> halt(0)
    end.

say(Text) -> io:put_chars([Text, $\n]).

serve(State) ->
    receive
        {line, Words} ->
            {Answer, State2} = command(Words, State),
            say(Answer),
            serve(State2)
    end.

command(["open", Count, Port, Path, Topic, Frame, Ms, Life], #{sockets := Sockets} = State) ->
    Target = #{port => list_to_integer(Port), path => Path, topic => Topic, frame => Frame, ms => list_to_integer(Ms),
               life => list_to_integer(Life)},
    {New, Failed} = open(list_to_integer(Count), Target, [], 0),
    {io_lib:format("opened ~b failed ~b", [length(New), Failed]), State#{sockets := Sockets ++ New}};
command(["stats"], #{sockets := Sockets} = State) -> {stats(ask(Sockets, figures)), State};
command(["reset"], #{sockets := Sockets} = State) -> {stats(ask(Sockets, reset)), State};
command([Order], #{sockets := Sockets} = State) when Order =:= "pause"; Order =:= "go" ->
    {tell(Sockets, list_to_atom(Order)), State};
command(["drain", Ms], #{sockets := Sockets} = State) ->
    tell(Sockets, pause),
    drain(Sockets, erlang:monotonic_time(millisecond) + list_to_integer(Ms)),
    {stats(ask(Sockets, figures)), State};
command(["say" | Text], #{sockets := [First | _]} = State) -> {tell([First], {say, lists:join(" ", Text)}), State};
command(["close"], #{sockets := Sockets} = State) ->
    [ask([Pid], close) || Pid <- Sockets],
    {"ok", State#{sockets := []}};
command(["get", Id, Port, Path], #{gets := Gets} = State) ->
    Get = spawn(fun() -> get_once(Id, list_to_integer(Port), Path) end),
    {"ok", State#{gets := [Get | Gets]}};
command(["hangup"], #{gets := Gets} = State) ->
    [exit(Get, kill) || Get <- Gets],
    {"ok", State#{gets := []}}.

tell(Sockets, Order) ->
    [Pid ! Order || Pid <- Sockets],
    "ok".

%% Some at a time, so that no listen queue overflows.
open(0, _, Opened, Failed) -> {lists:reverse(Opened), Failed};
open(Count, Target, Opened, Failed) ->
    Parent = self(),
    Batch = [spawn_link(fun() -> start(Parent, Target) end) || _ <- lists:seq(1, min(Count, 100))],
    Good = [Pid || Pid <- Batch, receive {opened, Pid} -> true; {failed, Pid} -> false end],
    open(Count - length(Batch), Target, lists:reverse(Good, Opened), Failed + length(Batch) - length(Good)).

%% ---- figures ----

ask(Sockets, Question) ->
    Ref = make_ref(),
    [Pid ! {Question, self(), Ref} || Pid <- Sockets],
    [receive {Ref, Pid, Answer} -> Answer end || Pid <- Sockets].

drain(Sockets, Deadline) ->
    Waiting = lists:any(fun(#socket{pending = Pending}) -> not queue:is_empty(Pending) end, ask(Sockets, figures)),
    case Waiting andalso erlang:monotonic_time(millisecond) < Deadline of
        true -> timer:sleep(20), drain(Sockets, Deadline);
        false -> ok
    end.

stats(Figures) ->
    Sum = fun(F) -> lists:sum([F(S) || S <- Figures]) end,
    Still = lists:sort([still(S) || S <- Figures]),
    Versions = lists:foldl(fun(S, All) -> maps:fold(fun(V, N, M) -> M#{V => N + maps:get(V, M, 0)} end, All, S#socket.versions) end,
                           #{}, Figures),
    Values = [{open, Sum(fun(S) -> case S#socket.state of open -> 1; _ -> 0 end end)},
              {reconnects, Sum(fun(S) -> S#socket.reconnects end)},
              {renewed, Sum(fun(S) -> S#socket.renewed end)},
              {refused, Sum(fun(S) -> S#socket.refused end)},
              {sent, Sum(fun(S) -> S#socket.next - 1 end)},
              {answered, Sum(fun(S) -> S#socket.answered end)},
              {pending, Sum(fun(S) -> queue:len(S#socket.pending) end)},
              {lost, Sum(fun(S) -> S#socket.lost end)},
              {disorder, Sum(fun(S) -> S#socket.disorder end)},
              {broadcasts, Sum(fun(S) -> S#socket.broadcasts end)},
              {still_p50, percentile(Still, 50)}, {still_p99, percentile(Still, 99)}, {still_max, percentile(Still, 100)}]
        ++ [{["version:", V], N} || {V, N} <- maps:to_list(Versions)],
    lists:join(" ", [io_lib:format("~s ~b", [Name, Value]) || {Name, Value} <- Values]).

percentile([], _) -> 0;
percentile(Sorted, P) -> lists:nth(max(1, (length(Sorted) * P + 99) div 100), Sorted).

%% The longest wait so far; a ping that still waits counts with its age.
still(#socket{still = Still, pending = Pending}) ->
    case queue:peek(Pending) of
        {value, {_, Since}} -> max(Still, erlang:monotonic_time(millisecond) - Since);
        empty -> Still
    end.

%% ---- one socket, one process ----

start(Parent, #{ms := Ms} = Target) ->
    case connect(#socket{parent = Parent, target = Target}) of
        {ok, Socket} ->
            Parent ! {opened, self()},
            erlang:send_after(rand:uniform(Ms), self(), tick),
            loop(Socket);
        error ->
            Parent ! {failed, self()}
    end.

connect(#socket{target = #{port := Port, path := Path, topic := Topic, life := Life}} = Socket) ->
    {ok, Gun} = gun:open("127.0.0.1", Port, #{retry => 0, protocols => [http]}),
    Monitor = monitor(process, Gun),
    try
        {ok, http} = gun:await_up(Gun, 30000, Monitor),
        Stream = gun:ws_upgrade(Gun, Path),
        receive
            {gun_upgrade, Gun, Stream, [<<"websocket">>], _} -> ok;
            {'DOWN', Monitor, process, Gun, Reason} -> throw(Reason)
        after 30000 -> throw(no_upgrade)
        end,
        Topic =:= "-" orelse join(Gun, Stream, Monitor, Topic),
        Life =:= 0 orelse renew_later(Socket, Gun),
        {ok, Socket#socket{gun = Gun, stream = Stream, monitor = Monitor, state = open, leaving = false}}
    catch
        _:_ ->
            hang_up(Gun, Monitor),
            error
    end.

join(Gun, Stream, Monitor, Topic) ->
    gun:ws_send(Gun, {text, ["join ", Topic]}),
    receive
        {gun_ws, Gun, Stream, {text, Text}} -> [_, <<"joined">> | _] = binary:split(Text, <<" ">>, [global]);
        {'DOWN', Monitor, process, Gun, Reason} -> throw(Reason)
    after 30000 -> throw(no_join)
    end.

renew_later(#socket{target = #{life := Life}}, Gun) ->
    erlang:send_after(rand:uniform(2 * Life), self(), {renew, Gun}).

hang_up(Gun, Monitor) ->
    demonitor(Monitor, [flush]),
    gun:close(Gun),
    gun:flush(Gun).

loop(#socket{gun = Gun, stream = Stream, monitor = Monitor, target = #{ms := Ms}} = Socket) ->
    receive
        tick ->
            erlang:send_after(Ms, self(), tick),
            loop(ping(Socket));
        {gun_ws, Gun, Stream, {text, Text}} -> loop(leave(received(binary:split(Text, <<" ">>, [global]), Socket)));
        {renew, Gun} when Socket#socket.sending -> loop(leave(Socket#socket{leaving = true}));
        {renew, Gun} ->
            renew_later(Socket, Gun),
            loop(Socket);
        {renew, _} -> loop(Socket); %% of a connection that was lost
        {gun_ws, Gun, Stream, _Close} -> loop(reconnect(Socket));
        {gun_down, Gun, _, _, _, _} -> loop(reconnect(Socket));
        {'DOWN', Monitor, process, Gun, _} -> loop(reconnect(Socket));
        again -> loop(open_again(Socket));
        pause -> loop(Socket#socket{sending = false});
        go -> loop(Socket#socket{sending = true});
        {reset, From, Ref} ->
            From ! {Ref, self(), Socket#socket{gun = undefined}},
            loop(Socket#socket{still = 0, versions = #{}});
        {say, Text} ->
            gun:ws_send(Gun, {text, ["say ", Text]}),
            loop(Socket);
        {figures, From, Ref} ->
            From ! {Ref, self(), Socket#socket{gun = undefined}},
            loop(Socket);
        {close, From, Ref} ->
            Socket#socket.state =:= open andalso hang_up(Gun, Monitor),
            From ! {Ref, self(), ok}
    end.

ping(#socket{state = open, sending = true, leaving = false, gun = Gun, target = #{frame := Frame}, next = N, pending = Pending} = Socket) ->
    gun:ws_send(Gun, {text, [Frame, " ", integer_to_list(N)]}),
    Socket#socket{next = N + 1, pending = queue:in({N, erlang:monotonic_time(millisecond)}, Pending)};
ping(Socket) ->
    Socket.

received([Version, Kind, Number], #socket{pending = Pending, still = Still} = Socket)
        when Kind =:= <<"pong">>; Kind =:= <<"heartbeat">> ->
    N = binary_to_integer(Number),
    case queue:out(Pending) of
        {{value, {N, Since}}, Rest} ->
            Versions = maps:update_with(Version, fun(Count) -> Count + 1 end, 1, Socket#socket.versions),
            Socket#socket{pending = Rest, answered = Socket#socket.answered + 1, versions = Versions,
                          still = max(Still, erlang:monotonic_time(millisecond) - Since)};
        _ ->
            Socket#socket{disorder = Socket#socket.disorder + 1}
    end;
received(_, Socket) ->
    Socket#socket{broadcasts = Socket#socket.broadcasts + 1}.

%% One that wants to leave does so when everything was answered; gun closes the connection at once when it has said so.
leave(#socket{leaving = true, gun = Gun, monitor = Monitor, pending = Pending} = Socket) ->
    case queue:is_empty(Pending) of
        false -> Socket;
        true ->
            gun:ws_send(Gun, close),
            receive {gun_down, Gun, _, _, _, _} -> ok; {'DOWN', Monitor, process, Gun, _} -> ok end,
            hang_up(Gun, Monitor),
            open_again(Socket#socket{state = closed, renewed = Socket#socket.renewed + 1})
    end;
leave(Socket) ->
    Socket.

reconnect(#socket{gun = Gun, monitor = Monitor, pending = Pending} = Socket) ->
    hang_up(Gun, Monitor),
    self() ! again,
    Socket#socket{state = closed, reconnects = Socket#socket.reconnects + 1, pending = queue:new(),
                  lost = Socket#socket.lost + queue:len(Pending)}.

open_again(Socket) ->
    case connect(Socket) of
        {ok, Open} -> Open;
        error ->
            erlang:send_after(200, self(), again),
            Socket#socket{refused = Socket#socket.refused + 1}
    end.

%% ---- plain requests ----

get_once(Id, Port, Path) ->
    {ok, Gun} = gun:open("127.0.0.1", Port, #{retry => 0, protocols => [http]}),
    Result = case gun:await_up(Gun, 30000) of
                 {ok, http} -> answer(Gun, gun:get(Gun, Path));
                 {error, Reason} -> {error, Reason}
             end,
    case Result of
        {ok, Status, Body} -> say(io_lib:format("got ~s ~b ~s", [Id, Status, Body]));
        {error, Why} -> say(io_lib:format("got ~s error ~0tp", [Id, Why]))
    end,
    receive after infinity -> ok end.

answer(Gun, Stream) ->
    case gun:await(Gun, Stream, 60000) of
        {response, fin, Status, _} -> {ok, Status, ""};
        {response, nofin, Status, _} ->
            case gun:await_body(Gun, Stream, 60000) of
                {ok, Body} -> {ok, Status, Body};
                Error -> Error
            end;
        Error -> Error
    end.
