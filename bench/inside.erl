%% What the benches measure inside a node, to be compared with ours from outside. All times are microseconds by the node's own
%% clock; whatever is timed runs in a process of its own, so that everybody starts with an empty heap and an empty mailbox.
-module(inside).
-export([timed/1, processes/0, process_info/2, suspended/1, calls/3, term/1, decode/1, encode/1]).

timed(Fun) ->
    Self = self(),
    Pid = spawn_link(fun() ->
        Before = erlang:monotonic_time(nanosecond),
        Value = Fun(),
        Time = erlang:monotonic_time(nanosecond) - Before,
        _ = Value, % alive until here
        Self ! {self(), Time / 1000}
    end),
    receive {Pid, Time} -> Time end.

%% ---- many processes ----

processes() -> timed(fun erlang:processes/0).

process_info(Pids, Items) -> timed(fun() -> [erlang:process_info(Pid, Items) || Pid <- Pids] end).

suspended(Pids) ->
    timed(fun() ->
        [Pid || Pid <- Pids, {_, {sys, suspend_loop, _}} <- [erlang:process_info(Pid, current_function)]]
    end).

%% ---- calls ----

%% N calls of erlang:node/0 on another node, by rpc:call/4 or erpc:call/4.
calls(Module, Node, N) -> timed(fun() -> calls_(Module, Node, N) end).

calls_(_Module, _Node, 0) -> ok;
calls_(Module, Node, N) ->
    Node = Module:call(Node, erlang, node, []),
    calls_(Module, Node, N - 1).

%% ---- terms ----

decode(Bytes) -> timed(fun() -> binary_to_term(Bytes) end).

encode(Bytes) ->
    Term = binary_to_term(Bytes),
    timed(fun() -> term_to_binary(Term) end).

%% The bytes of a large term of one shape.
term(Shape) -> term_to_binary(made(Shape)).

made(rows) -> [{I, label("row ", I), ok, [I, I + 0.5]} || I <- lists:seq(1, 60000)];
made(integers) -> [I * 1013 || I <- lists:seq(1, 500000)];
made(binaries) -> [label("a binary of some size, as names and topics are, ", I) || I <- lists:seq(1, 60000)];
made(atoms) ->
    Atoms = list_to_tuple([binary_to_atom(label("Elixir.MyApp.Module", I)) || I <- lists:seq(1, 100)]),
    [element(I rem 100 + 1, Atoms) || I <- lists:seq(1, 150000)];
made(maps) ->
    [#{id => I, name => label("user ", I), tags => [a, b], state => #{online => true, since => I * 1.5}}
     || I <- lists:seq(1, 30000)];
made(relup) ->
    Modules = [binary_to_atom(label("Elixir.MyApp.Module", I)) || I <- lists:seq(1, 10000)],
    Script = [point_of_no_return | lists:append([
        [{suspend, [M]}, {load, {M, brutal_purge, soft_purge}}, {code_change, up, [{M, []}]}, {resume, [M]}] || M <- Modules])],
    {"2.0.0", [{"1.0.0", [], Script}], [{"1.0.0", [], Script}]};
made(pids) -> % of numbers and serials that OTP 25 has, too
    [list_to_pid(lists:concat(["<0.", I rem 32768, ".", I div 32768, ">"])) || I <- lists:seq(1, 100000)].

label(Text, I) -> iolist_to_binary([Text, integer_to_binary(I)]).
