#!/usr/bin/env escript
%% A node that lies: hostile.escript COOKIE. It shakes hands as a node does, and then misbehaves. Each way to misbehave has a
%% listener of its own on the loopback; "NAME PORT" is printed for each, then "ready". It knows nothing of who connects.
-mode(compile).

-define(NODE, "false@127.0.0.1").
-define(FLAGS, 16#D07DF7FBD). % what a node of OTP 25 says
-define(MI, (1 bsl 20)).

main([Cookie]) ->
    [listen(Name, Cookie, Misbehave) || {Name, Misbehave} <- handshakes() ++ connections()],
    io:format("ready~n"),
    receive after infinity -> ok end.

listen(Name, Cookie, Misbehave) ->
    {ok, Listen} = gen_tcp:listen(0, [binary, {ip, {127,0,0,1}}, {active, false}, {nodelay, true}, {backlog, 16}]),
    {ok, Port} = inet:port(Listen),
    io:format("~s ~b~n", [Name, Port]),
    Owner = self(),
    spawn(fun() -> accept(Listen, Cookie, Misbehave, Owner) end).

%% One process a connection; should it crash, the socket is closed, and nobody is told.
accept(Listen, Cookie, Misbehave, Owner) ->
    {ok, Socket} = gen_tcp:accept(Listen),
    Pid = spawn(fun() -> receive go -> catch serve(Socket, Cookie, Misbehave) end end),
    ok = gen_tcp:controlling_process(Socket, Pid),
    Pid ! go,
    accept(Listen, Cookie, Misbehave, Owner).

%% ---- the handshake ("Distribution Handshake", erts User's Guide): a packet at a time ----

serve(Socket, _Cookie, {handshake, Steps}) ->
    lists:foldl(fun(Step, Seen) -> step(Socket, Step, Seen) end, none, Steps);
serve(Socket, Cookie, {connection, Misbehave}) ->
    Challenge = lists:foldl(fun(Step, Seen) -> step(Socket, Step, Seen) end, none, [name, status, challenge, reply]),
    step(Socket, {ack, Cookie}, Challenge),
    Misbehave(Socket).

step(Socket, name, _) -> recv_packet(Socket);
step(Socket, status, _) ->
    Name = <<"guest@127.0.0.1">>,
    send_packet(Socket, <<"snamed:", (byte_size(Name)):16, Name/binary, 7:32>>);
step(Socket, challenge, _) -> send_packet(Socket, challenge());
step(Socket, reply, _) ->
    <<"r", Theirs:32, _/binary>> = recv_packet(Socket),
    Theirs;
step(Socket, {ack, Cookie}, Theirs) ->
    send_packet(Socket, ["a", erlang:md5([Cookie, integer_to_list(Theirs)])]);
step(Socket, {send, Bytes}, Seen) -> ok = gen_tcp:send(Socket, Bytes), Seen;
step(Socket, {drip, Bytes}, _) -> drip(Socket, Bytes);
step(Socket, flood, _) -> flood(Socket, binary:copy(<<"s">>, 65536));
step(Socket, reset, _) -> reset(Socket);
step(_, silence, _) -> receive after infinity -> ok end.

challenge() -> <<"N", ?FLAGS:64, 4711:32, 3:32, (length(?NODE)):16, ?NODE>>.

recv_packet(Socket) ->
    {ok, <<Size:16>>} = gen_tcp:recv(Socket, 2),
    {ok, Packet} = gen_tcp:recv(Socket, Size),
    Packet.

send_packet(Socket, Data) -> ok = gen_tcp:send(Socket, [<<(iolist_size(Data)):16>>, Data]).

handshakes() ->
    [{"handshake_" ++ Ending ++ "_" ++ Phase, {handshake, Steps ++ [Last]}}
     || {Phase, Steps} <- [{"at_once", []}, {"after_name", [name]}, {"after_status", [name, status]},
                           {"after_challenge", [name, status, challenge]}, {"after_reply", [name, status, challenge, reply]}],
        {Ending, Last} <- [{"reset", reset}, {"silence", silence}, {"drip", {drip, <<0, 3, "sok">>}}, {"flood", flood},
                           {"giant", {send, <<16#ffff:16, 0:(8 * 65535)>>}}]] ++
    [{"handshake_wrong_ack", {handshake, [name, status, challenge, reply, {send, <<17:16, "a", 0:128>>}, silence]}}].

%% ---- sending what should not be sent ----

reset(Socket) ->
    inet:setopts(Socket, [{linger, {true, 0}}]),
    gen_tcp:close(Socket).

drip(Socket, Bytes) ->
    lists:foreach(fun(Byte) -> ok = gen_tcp:send(Socket, <<Byte>>), timer:sleep(1000) end, binary_to_list(Bytes)),
    step(Socket, silence, none).

flood(Socket, Bytes) -> case gen_tcp:send(Socket, Bytes) of ok -> flood(Socket, Bytes); _ -> ok end.

frame(Parts) -> [<<(iolist_size(Parts)):32>>, Parts].
control(Control) -> control(Control, []).
control(Control, Payload) -> frame(["p", etf(Control), Payload]).
etf({raw, Bytes}) -> Bytes;
etf(Term) -> term_to_binary(Term).

%% A pid or reference as a node would send it, whatever node we are on.
pid(Id) -> binary_to_term(<<131, 88, 119, (length(?NODE)):8, ?NODE, Id:32, 0:32, 3:32>>).
guest() -> binary_to_term(<<131, 88, 119, 15, "guest@127.0.0.1", 1:32, 0:32, 7:32>>).
stranger() -> binary_to_term(<<131, 90, 3:16, 119, 15, "guest@127.0.0.1", 7:32, 1:32, 2:32, 3:32>>).

%% The next call or spawn: `{call, Ref, Request, {M, F, A}}`, `{spawn, Ref, Request, {M, F, A}}`. Else it is passed over.
next_call(Socket) ->
    {ok, <<Size:32>>} = gen_tcp:recv(Socket, 4),
    case Size > 0 andalso gen_tcp:recv(Socket, Size) of
        {ok, <<"p", Terms/binary>>} ->
            {Control, Used} = binary_to_term(Terms, [used]),
            Payload = case Terms of <<_:Used/binary, Rest/binary>> when Rest =/= <<>> -> binary_to_term(Rest); _ -> none end,
            case {Control, Payload} of
                {{29, Ref, _, _, {erpc, execute_call, 4}, _}, [Ref, M, F, A]} -> {call, Ref, {M, F, A}};
                {{29, Ref, _, _, {M, F, _}, _}, A} -> {spawn, Ref, {M, F, A}};
                _ -> next_call(Socket)
            end;
        _ -> next_call(Socket)
    end.

send(Socket, Data) -> ok = gen_tcp:send(Socket, Data).

ended(Ref, Reason) -> control({28, pid(50), guest(), Ref}, etf(Reason)).
returns({call, Ref, _}, {raw, <<131, Value/binary>>}) ->
    <<131, RefBytes/binary>> = term_to_binary(Ref),
    ended(Ref, {raw, [<<131, 104, 3>>, RefBytes, <<119, 6, "return">>, Value]});
returns({call, Ref, _}, Value) -> ended(Ref, {Ref, return, Value});
returns({spawn, Ref, _}, Pid) -> control({31, Ref, guest(), 1, Pid}).

%% An honest node as far as our own questions go, but for the function `Lie`, which gives a term or {raw, Bytes} for MFA, or
%% the atom honest.
lie(Socket, Lie) ->
    case next_call(Socket) of
        {spawn, _, _} = Spawn -> send(Socket, returns(Spawn, pid(77)));
        {call, _, MFA} = Call -> send(Socket, returns(Call, case Lie(MFA) of honest -> honestly(MFA); Other -> Other end))
    end,
    lie(Socket, Lie).

honestly({erlang, self, []}) -> pid(60);
honestly({erlang, processes, []}) -> [pid(Id) || Id <- lists:seq(100, 102)];
honestly({erl_eval, expr, _}) -> {{}, {}, {}};
honestly({lists, zipwith, [_, Pids, _]}) -> [[{message_queue_len, 0}, {current_function, {gen_server, loop, 7}}] || _ <- Pids];
honestly(_) -> yes.

%% Once asked, the lie.
asked(Lie) -> {connection, fun(Socket) -> Lie(Socket, next_call(Socket)) end}.
%% Answers every call with these bytes for its value.
value(Bytes) -> {connection, fun(Socket) -> lie(Socket, fun(_) -> {raw, Bytes} end) end}.
%% Answers one function of those that are asked for by the core itself.
answer(Module, Function, Item, Value) ->
    {connection, fun(Socket) -> lie(Socket, fun
        ({M, F, _}) when M =:= Module, F =:= Function, Item =:= any -> Value;
        ({M, F, [_, I]}) when M =:= Module, F =:= Function, Item =:= I -> Value;
        (_) -> honest
    end) end}.
then_silent(Bytes) -> asked(fun(Socket, _) -> send(Socket, Bytes), step(Socket, silence, none) end).

connections() ->
    nonsense() ++ sizes() ++ answers() ++ prints() ++ bulk() ++ terms().

%% Bytes that no node sends.
nonsense() ->
    Tag = fun(T) -> then_silent(frame(["p", 131, 104, 2, 97, 2, T, 0])) end,
    [{"tag_" ++ integer_to_list(T), Tag(T)} || T <- [0, 1, 67, 68, 80, 82, 121, 255]] ++
    [{"compressed_control", then_silent(frame(["p", term_to_binary({2, binary:copy(<<0>>, 5000), guest()}, [compressed])]))},
     {"compressed_value", value(term_to_binary(binary:copy(<<0>>, 5000), [compressed]))},
     {"no_pass_through", then_silent(frame([131, 68, 0]))},
     {"fragment", then_silent(frame([131, 69, <<1:64, 1:64>>, 0]))},
     {"only_p", then_silent(frame("p"))},
     {"not_a_tuple", then_silent(control(hello))},
     {"empty_tuple", then_silent(control({}))},
     {"op_of_an_atom", then_silent(control({send, a, guest()}))},
     {"op_too_large", then_silent(control({1 bsl 80, a, guest()}))},
     {"too_few_elements", then_silent(control({28, pid(1)}))},
     {"send_without_payload", then_silent(control({2, a, guest()}))},
     {"bytes_behind", then_silent(control({2, a, guest()}, [etf(hello), 0]))},
     {"monitor_exit_of_no_ref", then_silent(control({21, pid(1), guest(), no_ref, why}))},
     {"spawn_reply_of_no_ref", then_silent(control({31, no_ref, guest(), 0, pid(1)}))},
     {"atom_not_utf8", value(<<131, 119, 2, 16#c3, 16#28>>)},
     {"atom_surrogate", value(<<131, 119, 3, 16#ed, 16#a0, 16#80>>)},
     {"atom_too_long", value(<<131, 118, 300:16, (binary:copy(<<"a">>, 300))/binary>>)},
     {"cut_in_a_frame", asked(fun(Socket, _) -> send(Socket, <<100:32, "p", 131>>), gen_tcp:close(Socket) end)},
     {"reset_in_a_frame", asked(fun(Socket, _) -> send(Socket, <<100:32, "p", 131>>), reset(Socket) end)},
     {"reset_when_asked", asked(fun(Socket, _) -> reset(Socket) end)},
     {"reset_at_once", {connection, fun reset/1}},
     {"silence", then_silent([])},
     {"drip", asked(fun(Socket, _) -> drip(Socket, <<60:32, 0:480>>) end)},
     {"drip_of_ticks", asked(fun(Socket, _) -> flood_slowly(Socket, <<0:32>>, 20) end)}].

flood_slowly(Socket, Bytes, Ms) -> send(Socket, Bytes), timer:sleep(Ms), flood_slowly(Socket, Bytes, Ms).

%% Too much of it, or the claim that it will be.
sizes() ->
    Nested = fun(Depth) -> <<131, (binary:copy(<<104, 1>>, Depth))/binary, 106>> end,
    Spine = fun(Depth, End) -> <<131, (binary:copy(<<108, 1:32, 97, 1>>, Depth))/binary, End/binary>> end,
    Mail = control({2, '', guest()}, etf(binary:copy(<<0>>, 1000))),
    Print = control({2, '', guest()}, etf({io_request, pid(9), stranger(), {put_chars, unicode, binary:copy(<<"!">>, 1000)}})),
    Monitors = control({19, pid(9), somebody, stranger()}),
    [{"length_past_the_end", value(<<131, 109, ?MI:32, 1, 2, 3>>)},
     {"list_past_the_end", value(<<131, 108, 16#ffffffff:32, 106>>)},
     {"map_past_the_end", value(<<131, 116, 16#80000000:32, 106>>)},
     {"tuple_without_elements", value(<<131, 105, ?MI:32>>)},
     {"bignum_past_the_end", value(<<131, 111, 16#ffffffff:32, 0, 1>>)},
     {"string_past_the_end", value(<<131, 107, 16#ffff:16, 1>>)},
     {"fun_of_size_0", value(<<131, 112, 0:32, 0, 0:128, 0:32, 16#ffffffff:32>>)},
     {"four_gib_frame", then_silent(<<16#ffffffff:32, "p">>)},
     {"large_frame_that_never_comes", then_silent(<<(250 * ?MI):32, "p", 131>>)},
     {"deep_value", value(Nested(1000000))},
     {"deep_list_value", value(Spine(1000000, <<106>>))},
     {"deep_control", then_silent(frame(["p", binary:part(Nested(1000000), 0, 1000000)]))},
     {"deep_reason", asked(fun(Socket, {call, Ref, _}) ->
         send(Socket, ended(Ref, {raw, Nested(1000000)})), step(Socket, silence, none) end)},
     {"long_tail_of_tails", value(Spine(1000, <<108, 1000000:32, (binary:copy(<<97, 0>>, 1000000))/binary, 106>>))},
     {"charlist_of_tails", value(Spine(1000, <<107, 65535:16, (binary:copy(<<200>>, 65535))/binary>>))},
     {"many_small_parts", value(<<131, 108, (5 * ?MI):32, (binary:copy(<<106>>, 5 * ?MI))/binary, 106>>)},
     {"many_binaries", value(term_to_binary([integer_to_binary(I) || I <- lists:seq(1, 200000)]))},
     {"flood_of_mail", asked(fun(Socket, _) -> flood(Socket, lists:duplicate(200, Mail)) end)},
     {"flood_of_printing", asked(fun(Socket, _) -> flood(Socket, lists:duplicate(200, Print)) end)},
     {"flood_of_monitors", asked(fun(Socket, _) -> flood(Socket, lists:duplicate(1000, Monitors)) end)},
     {"flood_of_ticks", asked(fun(Socket, _) -> flood(Socket, binary:copy(<<0>>, 65536)) end)},
     {"flood_of_answers", asked(fun(Socket, {call, Ref, _}) -> flood(Socket, lists:duplicate(200, ended(stranger(), {Ref, return, 1}))) end)},
     {"deaf", {connection, fun(Socket) -> step(Socket, silence, none) end}}].

%% Answers that were not asked for. The value is yes, and a later call gets yes again.
answers() ->
    Yes = fun(Call) -> returns(Call, yes) end,
    Answer = fun(Before) -> {connection, fun(Socket) -> again(Socket, fun(Call) -> Before(Call) end) end} end,
    [{"unasked_answers", Answer(fun(Call) -> [lists:duplicate(10000, ended(stranger(), {stranger(), return, no})),
                                             control({31, stranger(), guest(), 0, pid(3)}), Yes(Call)] end)},
     {"answered_twice", Answer(fun(Call) -> [Yes(Call), returns(Call, no), returns(Call, no)] end)},
     {"answer_of_another", Answer(fun({call, Ref, _}) -> ended(Ref, {stranger(), return, no}) end)},
     {"answer_of_no_class", Answer(fun({call, Ref, _}) -> ended(Ref, {Ref, maybe, no}) end)},
     {"answer_cut_short", Answer(fun({call, Ref, _}) -> ended(Ref, {Ref, return}) end)},
     {"answer_of_an_atom", Answer(fun({call, Ref, _}) -> ended(Ref, whatever) end)},
     {"spawn_refused", Answer(fun({call, Ref, _}) -> control({31, Ref, guest(), 0, system_limit}) end)}].

again(Socket, Answer) -> send(Socket, Answer(next_call(Socket))), again(Socket, Answer).

%% Requests to print, which want answers and, some of them, calls of us. Where the first call is answered, that is yes.
prints() ->
    Ask = fun(From, ReplyAs, Request) -> control({2, '', guest()}, etf({io_request, From, ReplyAs, Request})) end,
    Print = fun(Request) -> Ask(pid(9), stranger(), Request) end,
    Format = Print({put_chars, unicode, io_lib, format, [<<"never">>, []]}),
    Shown = Print({put_chars, unicode, <<"shown">>}),
    Owed = Ask(pid(9), binary:copy(<<0>>, 4 * ?MI), {put_chars, unicode, <<"x">>}),
    Nested = fun(Depth, End) -> lists:foldl(fun(_, Inner) -> {Inner} end, End, lists:seq(1, Depth)) end,
    Requests = lists:foldl(fun(_, Inner) -> {requests, [Inner]} end, {put_chars, unicode, <<"x">>}, lists:seq(1, 500)),
    Before = fun(Frames) -> asked(fun(Socket, Call) -> send(Socket, [Frames, returns(Call, yes)]), drain(Socket) end) end,
    [{"print_for_nobody", Before([[Ask(From, stranger(), {put_chars, unicode, <<"unseen">>}) || From <- [{odd}, <<"init">>, init, 1]], Shown])},
     {"print_strange", Before([[Print(Request) || Request <- [none, {}, <<"x">>, {put_chars}, {put_chars, 1, 2, 3, 4, 5, 6},
         {put_chars, unicode, -1}, {put_chars, unicode, [1 bsl 40, 1 bsl 80]}, {put_chars, unicode, 1, 2, 3}, {requests},
         {requests, none}, {requests, [none | none]}, {get_line, unicode, <<"?">>}]], Shown])},
     {"print_deep", Before([Print({put_chars, unicode, Nested(1021, x)}), Ask(pid(9), Nested(1021, x), {put_chars, unicode, x}),
         Print({put_chars, unicode, lists, reverse, Nested(1021, x)}), Print(Requests), Shown])},
     {"print_beside_formats", Before([Format, Shown, lists:duplicate(2, Format)])},
     {"print_formats", asked(fun(Socket, _) -> send(Socket, [Format, Format]), drain(Socket) end)},
     {"print_formats_forever", asked(fun(Socket, _) -> spawn_link(fun() -> drain(Socket) end), flood_slowly(Socket, Format, 20) end)},
     {"print_flood", asked(fun(Socket, _) -> spawn_link(fun() -> drain(Socket) end), flood(Socket, lists:duplicate(200, Shown)) end)},
     {"print_flood_of_formats", asked(fun(Socket, _) -> flood(Socket, lists:duplicate(200, Format)) end)},
     {"print_owed", asked(fun(Socket, _) -> send(Socket, lists:duplicate(4, Owed)), step(Socket, silence, none) end)},
     {"print_flood_of_owed", asked(fun(Socket, _) -> flood(Socket, Owed) end)}].

drain(Socket) -> {ok, _} = gen_tcp:recv(Socket, 0), drain(Socket).

%% Lies to the questions that the core asks for bulk work, of three pids.
bulk() ->
    Info = fun(Name, Value) -> {"info_" ++ Name, answer(lists, zipwith, any, Value)} end,
    List = fun(Count, Elements) -> [<<108, Count:32>>, Elements, 106] end,
    Item = fun(Value) -> [<<104, 2, 119, 1, "a">>, Value] end,
    Slice = fun(Name, Value) -> {"slice_" ++ Name, answer(erl_eval, expr, any, Value)} end,
    Thrice = fun(Process) -> {raw, iolist_to_binary([131, List(3, lists:duplicate(3, Process))])} end,
    [{"honest", {connection, fun(Socket) -> lie(Socket, fun(_) -> honest end) end}},
     Info("of_atoms", [a, b, c]), Info("of_integers", [[1], [2], [3]]), Info("of_binaries", [<<"abc">>, <<"d">>, <<>>]),
     Info("of_nested_binaries", [[<<"abc">>], [<<"d">>], [[]]]), Info("of_charlists", ["abc", "d", "e"]),
     Info("of_tuples", [{1, 2}, {3}, {}]), Info("of_empty_tuples", [[{}], [{}], [{}]]), Info("of_maps", [#{a => 1}, #{}, [#{}]]),
     Info("of_unnamed", [[{1, 2}], [{<<"a">>, b}], [{"a", b}]]), Info("of_singles", [[{a}], [{a}], [{a}]]),
     Info("of_floats", [1.5, 2.5, 3.5]), Info("of_pids", [pid(1), [pid(2)], pid(3)]), Info("improper", [[{a, 1} | b], [c | d], []]),
     Info("too_few", [[{a, 1}]]), Info("too_many", [undefined, undefined, undefined, undefined]),
     Info("of_a_tuple", {1, 2, 3}), Info("of_true", [true, false, true]),
     {"much_info", answer(lists, zipwith, any, Thrice(List(1, Item(List(3900000, binary:copy(<<106>>, 3900000))))))},
     {"much_info_in_tails", answer(lists, zipwith, any, Thrice(List(60, lists:duplicate(60,
        Item([<<108, 1:32, 97, 0, 107, 65535:16>>, binary:copy(<<7>>, 65535)])))))},
     {"processes_atom", answer(erlang, processes, any, none)},
     {"processes_improper", answer(erlang, processes, any, [pid(1) | pid(2)])},
     {"processes_of_integers", answer(erlang, processes, any, [1000, 2000])},
     {"processes_foreign", answer(erlang, processes, any, [pid(1), guest()])},
     {"processes_charlist", answer(erlang, processes, any, "abc")},
     {"processes_past_the_end", answer(erlang, processes, any, {raw, <<131, 108, 16#ffffffff:32, 106>>})},
     {"self_atom", answer(erlang, self, any, me)},
     Slice("atom", undefined), Slice("of_lists", {[], [], []}), Slice("of_two", {{}, {}}), Slice("of_four", {{}, {}, {}, {}}),
     Slice("bare", {{0}, {}, {}}), Slice("of_three", {{{0, a, b}}, {}, {}}), Slice("below", {{}, {-1}, {}}),
     Slice("above", {{}, {}, {3}}), Slice("refused_above", {{{3, error}}, {}, {}}), Slice("far_above", {{}, {1 bsl 62}, {}}),
     Slice("out_of_range", {{}, {1 bsl 80}, {}}), Slice("no_number", {{}, {a}, {}}), Slice("charlist", {{}, "abc", {}}),
     Slice("past_the_end", {raw, <<131, 104, 3, 105, 16#ffffffff:32>>}),
     Slice("strange", {{{0, {error, x}}, {0, ok}, {1, busy}}, {1}, {2, 2}})].

%% Terms where others are expected, and texts that would like to reach a terminal.
terms() ->
    Infos = fun({lists, zipwith, [_, Pids, [[current_function] | _]]}) -> [[{current_function, {sys, suspend_loop, 8}}] || _ <- Pids];
               ({lists, zipwith, [_, Pids, _]}) -> [[{memory, #{a => 1}}, {registered_name, <<155>>}] || _ <- Pids];
               ({lists, map, [_, Pids]}) -> [{a, b, 1} || _ <- Pids];
               (_) -> honest
            end,
    [{"infos_of_terms", {connection, fun(Socket) -> lie(Socket, Infos) end}} |
     [{"term_" ++ Name, value(term_to_binary(Term))}
      || {Name, Term} <- [{"integer", 7}, {"charlist", "abc"}, {"lists", [[], [], []]}, {"ok", {ok, a, b, c}}, {"false", false},
                          {"guard", {guard, <<"evil\e]0;owned\x07">>, gone, 1000, 0, 0}},
                          {"releases", [{"app\e[2J", <<"1.0", 155, "2J\n">>, [], permanent}]}]]].
