%% The node's side of bench/bulk: processes that can be suspended, and the two ways to suspend and resume them from inside that
%% ours is compared with. Knows nothing of the clock outside: what it measures, it measures itself, in microseconds.
-module(bulk).
-behaviour(gen_server).
-export([start/1, stop/1, edeliver/2, loop/2, bystander/0, watched/1]).
-export([init/1, handle_call/3, handle_cast/2]).

init(none) -> {ok, none}.
handle_call(ping, _From, State) -> {reply, pong, State}.
handle_cast(_Message, State) -> {noreply, State}.

%% In bytes, since that many pids one by one are a burden to whoever gets them.
start(N) -> term_to_binary([begin {ok, Pid} = gen_server:start(?MODULE, none, []), Pid end || _ <- lists:seq(1, N)]).

stop(Pids) ->
    Monitors = [begin Monitor = monitor(process, Pid), exit(Pid, kill), Monitor end || Pid <- Pids],
    lists:foreach(fun(Monitor) -> receive {'DOWN', Monitor, process, _, _} -> ok end end, Monitors).

%% edeliver's SuspendChannels.bulk_suspend and ResumeChannels.bulk_resume: a process per pid, monitored, the results collected
%% in order. Some are done before they are monitored, which it takes for errors (`noproc`); their processes did it all the same.
edeliver(Request, Pids) -> inside:timed(fun() -> edeliver_bulk(Request, Pids, 60000) end).

edeliver_bulk(Request, Pids, Timeout) ->
    Asked = [begin
                 Spawned = proc_lib:spawn(fun() -> ok = sys:Request(Pid, Timeout) end),
                 {Pid, Spawned, erlang:monitor(process, Spawned)}
             end || Pid <- Pids],
    lists:foldl(fun({Pid, Spawned, Monitor}, {Count, Errors}) ->
        receive
            {'DOWN', Monitor, process, Spawned, normal} -> {Count, Errors};
            {'DOWN', Monitor, process, Spawned, Reason} -> {Count + 1, [{Pid, Reason} | Errors]}
        end
    end, {0, []}, Asked).

%% The limit: one compiled loop that sends everything and then collects everything, with no process to die and no deadline.
loop(Request, Pids) -> inside:timed(fun() -> send_all_then_collect(Request, Pids) end).

send_all_then_collect(Request, Pids) ->
    Tag = make_ref(),
    lists:foreach(fun(Pid) -> Pid ! {system, {self(), Tag}, Request} end, Pids),
    lists:foreach(fun(_) -> receive {Tag, ok} -> ok end end, Pids).

%% Somebody who has nothing to do with it, and calls a server every 2 ms. `watched` ends it: of 100 of its calls, how long 99 took at most.
bystander() ->
    {ok, Server} = gen_server:start(?MODULE, none, []),
    spawn(fun() -> call(Server, []) end).

call(Server, Taken) ->
    receive
        {watched, From} ->
            gen_server:stop(Server),
            Sorted = lists:sort(Taken),
            From ! {self(), lists:nth(length(Sorted) - length(Sorted) div 100, Sorted)}
    after 2 ->
        Before = erlang:monotonic_time(microsecond),
        pong = gen_server:call(Server, ping, infinity),
        call(Server, [erlang:monotonic_time(microsecond) - Before | Taken])
    end.

watched(Bystander) ->
    Bystander ! {watched, self()},
    receive {Bystander, Time} -> Time end.
