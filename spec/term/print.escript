#!/usr/bin/env escript
%% Prints "HEX TEXT" lines: external bytes (without 131) of values that have no text to be read from, or the bytes of
%% floats, and what Erlang prints for them.
main(["opaque"]) ->
    Values = [self(), make_ref(), fun() -> ok end, fun erlang:'+'/2, fun 'A b':f/0, hd(erlang:ports()), 1 bsl 64, -(1 bsl 64), 1 bsl 4000,
        -(1 bsl 4000) + 1, (1 bsl 63), -(1 bsl 63) - 1, 10000000000000000000000000000000000000000, <<1:1>>, <<255, 7:3>>],
    [begin
         <<131, Bytes/binary>> = term_to_binary(Value, [{minor_version, 2}]),
         io:format("~s ~0tp~n", [binary:encode_hex(Bytes), Value])
     end || Value <- Values];
main(["floats"]) ->
    rand:seed(exsss, {1, 2, 3}),
    Powers = [math:pow(2, N) || N <- lists:seq(-1074, 1023)] ++ [math:pow(10, N) || N <- lists:seq(-300, 300)],
    Bits = [begin <<F/float>> = <<(rand:uniform(2) - 1):1, (rand:uniform(2047) - 1):11, (rand:uniform(1 bsl 52) - 1):52>>, F end
        || _ <- lists:seq(1, 3000)],
    Decimals = [rand:uniform(trunc(math:pow(10, rand:uniform(17)))) * math:pow(10, rand:uniform(40) - 20) || _ <- lists:seq(1, 3000)],
    Text = [[binary:encode_hex(<<F/float>>), " ", io_lib:format("~p", [F]), "\n"]
        || F <- Powers ++ Bits ++ Decimals ++ [N / 100 || N <- lists:seq(-300, 300)]],
    io:put_chars(Text).
