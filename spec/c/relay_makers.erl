%% What relay_test.c has a node make: `{Pid, {Kind, N}}` to the process `maker` is answered with a list of N new processes.
-module(relay_makers).
-export([start/0]).

start() ->
    register(maker, spawn(fun serve/0)).

serve() ->
    receive
        {From, {Kind, Count}} -> From ! make(Kind, Count)
    end,
    serve().

%% Servers, of a module that is in stdlib.
make(make, Count) ->
    [server([]) || _ <- lists:seq(1, Count)];
%% Servers that hibernate.
make(asleep, Count) ->
    Servers = [server([{hibernate_after, 1}]) || _ <- lists:seq(1, Count)],
    timer:sleep(100),
    Servers;
%% Processes that read no messages.
make(deaf, Count) ->
    [spawn(timer, sleep, [infinity]) || _ <- lists:seq(1, Count)];
make(dead, Count) ->
    [dead() || _ <- lists:seq(1, Count)];
%% One process, which lets nobody run until what hands out requests is there, and then does not let that run for so many
%% milliseconds. It ends when that one has.
make(hold, Ms) ->
    [spawn_opt(fun() -> hold(Ms) end, [{priority, max}])].

server(Options) ->
    {ok, Pid} = gen_event:start(Options),
    Pid.

dead() ->
    {Pid, Monitor} = spawn_monitor(fun() -> ok end),
    receive {'DOWN', Monitor, process, Pid, _} -> Pid end.

hold(Ms) ->
    case lists:sort([Pid || Pid <- processes(), Pid > self()]) of
        [Sender | _] ->
            erlang:suspend_process(Sender, [asynchronous]),
            Monitor = monitor(process, Sender),
            timer:sleep(Ms),
            catch erlang:resume_process(Sender),
            receive {'DOWN', Monitor, process, Sender, _} -> ok end;
        _ ->
            hold(Ms)
    end.
