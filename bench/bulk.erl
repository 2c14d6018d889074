%% The node's side of bench/bulk: processes that can be suspended, and the two ways to resume them from inside that ours is
%% compared with. Knows nothing of the clock outside: what it measures, it measures itself, in microseconds.
-module(bulk).
-behaviour(gen_server).
-export([start/1, stop/1, suspend/1, edeliver/1, loop/1, empty_calls/2]).
-export([init/1, handle_call/3, handle_cast/2]).

init(none) -> {ok, none}.
handle_call(ping, _From, State) -> {reply, pong, State}.
handle_cast(_Message, State) -> {noreply, State}.

start(N) -> [begin {ok, Pid} = gen_server:start(?MODULE, none, []), Pid end || _ <- lists:seq(1, N)].

stop(Pids) -> lists:foreach(fun(Pid) -> exit(Pid, kill) end, Pids).

suspend(Pids) -> ok = send_all_then_collect(Pids, suspend).

%% edeliver's ResumeChannels.bulk_resume: a process per pid, monitored, the results collected in order. Some are done before
%% they are monitored, which it takes for errors (`noproc`); their processes are resumed all the same.
edeliver(Pids) -> in_a_fresh_process(fun() -> edeliver_resume(Pids, 60000) end).

edeliver_resume(Pids, Timeout) ->
    Asked = [begin
                 Spawned = proc_lib:spawn(fun() -> ok = sys:resume(Pid, Timeout) end),
                 {Pid, Spawned, erlang:monitor(process, Spawned)}
             end || Pid <- Pids],
    {_, _} = lists:foldl(fun({Pid, Spawned, Monitor}, {Count, Errors}) ->
        receive
            {'DOWN', Monitor, process, Spawned, normal} -> {Count, Errors};
            {'DOWN', Monitor, process, Spawned, Reason} -> {Count + 1, [{Pid, Reason} | Errors]}
        end
    end, {0, []}, Asked),
    ok.

%% The limit: one compiled loop that sends everything and then collects everything, with no process to die and no deadline.
loop(Pids) -> in_a_fresh_process(fun() -> send_all_then_collect(Pids, resume) end).

send_all_then_collect(Pids, Request) ->
    Tag = make_ref(),
    lists:foreach(fun(Pid) -> Pid ! {system, {self(), Tag}, Request} end, Pids),
    lists:foreach(fun(_) -> receive {Tag, ok} -> ok end end, Pids).

%% Everybody starts with an empty heap and an empty mailbox.
in_a_fresh_process(Fun) ->
    Self = self(),
    Pid = spawn_link(fun() ->
        {Time, ok} = timer:tc(Fun),
        Self ! {self(), Time}
    end),
    receive {Pid, Time} -> Time end.

%% How long rpc:call takes from this node to another: microseconds for N of them.
empty_calls(Node, N) ->
    {Time, ok} = timer:tc(fun() -> empty_calls_(Node, N) end),
    Time.

empty_calls_(_Node, 0) -> ok;
empty_calls_(Node, N) ->
    _ = rpc:call(Node, erlang, node, []),
    empty_calls_(Node, N - 1).
