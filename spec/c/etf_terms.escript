#!/usr/bin/env escript
%% Sends some thousand terms of every kind to the program that is named on the command line and expects each back,
%% decoded, encoded anew, and still the same term. The random numbers are the same in every run.
%%
%% `write COUNT FILE` writes so many terms to a file, each as its bytes and as the text that ~0tp prints, with four bytes of
%% length before either; `check FILE BACK` expects in BACK the bytes of the same terms (spec/otp_terms_spec.lua).
%%
%% `judge FILE` reads lines of hex, and prints a 1 for each that is an external term to OTP, a 0 for each that is not.
-mode(compile).

main(["write", Count, File]) ->
    rand:seed(exsss, {4, 5, 6}),
    {ok, Out} = file:open(File, [write, raw, binary, delayed_write]),
    [write(Out, Term) || Term <- special()],
    [write(Out, term(rand:uniform(5) - 1)) || _ <- lists:seq(1, list_to_integer(Count) - length(special()))],
    ok = file:close(Out);
main(["check", File, Back]) ->
    {ok, Sent} = file:read_file(File),
    {ok, Returned} = file:read_file(Back),
    io:format("~b terms came back the same~n", [check(Sent, Returned, 0)]);

main(["judge", File]) ->
    {ok, Text} = file:read_file(File),
    io:put_chars([judge(from_hex(Line)) || Line <- binary:split(Text, <<"\n">>, [global, trim_all])]);
main([Program]) ->
    rand:seed(exsss, {1, 2, 3}),
    Port = open_port({spawn_executable, Program}, [{args, ["echo"]}, {packet, 4}, binary, exit_status]),
    Terms = special() ++ [term(rand:uniform(5) - 1) || _ <- lists:seq(1, 6000)],
    [same(Port, Term, Version) || Term <- Terms, Version <- [0, 1, 2]],
    io:format("~b terms in 3 encodings~n", [length(Terms)]).

judge(Bytes) ->
    try binary_to_term(Bytes, [used]) of
        {_, Used} when Used =:= byte_size(Bytes) -> $1;
        _ -> $0
    catch error:badarg -> $0
    end.

from_hex(Line) -> << <<(binary_to_integer(Digits, 16))>> || <<Digits:2/binary>> <= Line >>.

%% Under one of term_to_binary's options. What prints as it does by accident gets no text: large maps
%% have another order than their bytes.
write(Out, Term) ->
    Options = case rand:uniform(4) of
        4 when not is_map(Term) -> [deterministic, {minor_version, 2}];
        Version -> [{minor_version, Version rem 3}]
    end,
    Bytes = term_to_binary(Term, Options),
    Text = case Term of
        #{} when map_size(Term) > 32 -> <<>>;
        _ when is_pid(Term), node(Term) =/= node() -> <<>>; % its first number is this node's own
        _ -> unicode:characters_to_binary(io_lib:format("~0tp", [binary_to_term(Bytes)]))
    end,
    ok = file:write(Out, [<<(byte_size(Bytes)):32>>, Bytes, <<(byte_size(Text)):32>>, Text]).

check(<<>>, <<>>, Count) -> Count;
check(<<Size:32, Bytes:Size/binary, TextSize:32, _:TextSize/binary, Sent/binary>>, <<Back:32, Again:Back/binary, Returned/binary>>, Count) ->
    binary_to_term(Again) =:= binary_to_term(Bytes) orelse fail("came back as another term", Bytes),
    check(Sent, Returned, Count + 1).

same(Port, Term, Version) ->
    Bytes = term_to_binary(Term, [{minor_version, Version}]),
    true = port_command(Port, Bytes),
    receive
        %% old floats are text of 20 digits, so what Erlang itself reads is the measure
        {Port, {data, Again}} ->
            case binary_to_term(Again) =:= binary_to_term(Bytes) of
                true -> ok;
                false -> fail("came back as another term", Bytes)
            end;
        {Port, {exit_status, Status}} ->
            fail(io_lib:format("ended the program with status ~b", [Status]), Bytes)
    after 10000 ->
        fail("was not answered", Bytes)
    end.

fail(What, Bytes) ->
    io:format(standard_error, "~P~n  ~ts~n", [binary_to_term(Bytes), 30, What]),
    halt(1).

special() ->
    Foreign = <<131, 88, 119, 5, "a@b.c", 83:32, 1:32, 16#5F000000:32>>,
    [maps:from_list([{X, {X, <<X:64>>}} || X <- lists:seq(1, 20000)]),
     lists:foldl(fun(_, Inner) -> {Inner} end, ok, lists:seq(1, 1000)),
     lists:foldl(fun(_, Inner) -> fun() -> Inner end end, ok, lists:seq(1, 100)),
     lists:duplicate(70000, 7), lists:duplicate(65535, 7), lists:duplicate(65536, 7),
     list_to_tuple(lists:seq(1, 3000)), 1 bsl 4000, -(1 bsl 4000), 1.0e308, -5.0e-324, -0.0,
     list_to_atom(lists:duplicate(255, 16#10FFFF)), list_to_atom(lists:duplicate(255, $a)), '', <<>>, "", {}, #{},
     binary_to_term(Foreign) | erlang:ports()].

term(0) -> scalar(rand:uniform(20));
term(Depth) ->
    case rand:uniform(6) of
        1 -> list_to_tuple(terms(Depth));
        2 -> terms(Depth);
        3 -> terms(Depth) ++ term(Depth - 1);
        4 -> maps:from_list([{term(Depth - 1), term(Depth - 1)} || _ <- lists:seq(1, below(6))]);
        5 -> {A, B} = {term(Depth - 1), term(Depth - 1)}, fun(X) -> {X, A, B} end;
        6 -> term(0)
    end.

terms(Depth) -> [term(Depth - 1) || _ <- lists:seq(1, below(6))].

scalar(1) -> below(256);
scalar(2) -> -below(100000);
scalar(3) -> below(1 bsl 33);
scalar(4) -> below(1 bsl 64) - (1 bsl 63);
scalar(5) -> -(1 bsl 63) - below(3) + 1;
scalar(6) -> (1 bsl 63) + below(3) - 2;
scalar(7) -> below(1 bsl 59) bsl below(3000);
scalar(8) -> -(below(1 bsl 59) bsl 200);
scalar(9) -> rand:normal() * math:pow(10, below(600) - 300);
scalar(10) -> lists:nth(rand:uniform(4), [ok, true, false, undefined]);
scalar(11) -> list_to_atom([rand:uniform(255) || _ <- lists:seq(1, below(20))]);
scalar(12) -> list_to_atom([16#4E00 + below(200) || _ <- lists:seq(1, below(20))]);
scalar(13) -> rand:bytes(below(40));
scalar(14) -> Bits = rand:uniform(60), <<(below(1 bsl 50)):Bits>>;
scalar(15) -> [below(256) || _ <- lists:seq(1, below(30))];
scalar(16) -> self();
scalar(17) -> make_ref();
scalar(18) -> hd(erlang:ports());
scalar(19) -> fun lists:map/2;
scalar(20) -> [].

below(N) -> rand:uniform(N) - 1.
