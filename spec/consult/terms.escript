#!/usr/bin/env escript
%% Erlang's side of consult_spec. Usage:
%%   terms.escript generate FOLDER COUNT   random terms: N.in (text to read), N.pretty (~tp), N.line (on one line)
%%   terms.escript verify FOLDER           N.out must hold what N.in holds; prints what does not agree
-mode(compile).

main(["generate", Dir, Count]) ->
    rand:seed(exsss, {1, 2, 3}),
    [generate(Dir, N) || N <- lists:seq(1, list_to_integer(Count))];
main(["verify", Dir]) ->
    [verify(Dir, File) || File <- lists:sort(filelib:wildcard("*.in", Dir))].

generate(Dir, N) ->
    Terms = [term(rand:uniform(5)) || _ <- lists:seq(1, rand:uniform(3))],
    Format = case N rem 3 of 0 -> "~tw.~n"; _ -> "~tp.~n" end,
    Write = fun(Extension, F) ->
        Name = filename:join(Dir, integer_to_list(N) ++ Extension),
        ok = file:write_file(Name, unicode:characters_to_binary([io_lib:format(F, [T]) || T <- Terms]))
    end,
    Write(".in", Format),
    Write(".pretty", "~tp.~n"),
    Write(".line", "~0tp~n").

verify(Dir, File) ->
    In = filename:join(Dir, File),
    Out = filename:rootname(In) ++ ".out",
    %% file:consult itself crashes on some bad files.
    Consulted = try file:consult(In) catch error:Reason -> {error, Reason} end,
    case {Consulted, filelib:is_file(Out) andalso file:consult(Out)} of
        {{ok, Same}, {ok, Other}} when Same =:= Other -> ok;
        {{error, _}, false} -> ok;
        {Theirs, Ours} -> io:format("~ts: ~0tp, not ~0tp~n", [File, Theirs, Ours])
    end.

term(Depth) when Depth =< 1 -> leaf(rand:uniform(13));
term(Depth) ->
    case rand:uniform(8) of
        1 -> list_to_tuple(terms(Depth));
        2 -> list_to_tuple([atom() | terms(Depth)]);
        3 -> terms(Depth);
        4 -> terms(Depth) ++ term(Depth - 1);
        5 -> maps:from_list([{term(Depth - 2), term(Depth - 1)} || _ <- terms(Depth)]);
        6 -> [{atom(), [term(Depth - 1)]} || _ <- terms(Depth)];
        _ -> leaf(rand:uniform(13))
    end.

terms(Depth) -> [term(Depth - 1) || _ <- lists:seq(1, rand:uniform(6) - 1)].

leaf(1) -> rand:uniform(100);
leaf(2) -> rand:uniform(1 bsl 64) - (1 bsl 63);
leaf(3) -> (rand:uniform(1 bsl 200) - (1 bsl 199)) bsr rand:uniform(200);
leaf(4) -> (rand:uniform() - 0.5) * math:pow(10, rand:uniform(60) - 30);
leaf(5) -> float(rand:uniform(1000) - 500);
leaf(6) -> chars(fun() -> 31 + rand:uniform(95) end);
leaf(7) -> chars(fun character/0);
leaf(8) -> unicode:characters_to_binary(chars(fun character/0));
leaf(9) -> list_to_binary(chars(fun() -> 31 + rand:uniform(95) end));
leaf(10) -> rand:bytes(rand:uniform(40) - 1);
leaf(11) -> Bits = rand:uniform(30), <<(rand:uniform(1 bsl Bits) - 1):Bits>>;
leaf(12) -> fun erlang:send/2;
leaf(13) -> atom().

chars(One) -> [One() || _ <- lists:seq(1, rand:uniform(30) - 1)].

character() ->
    case rand:uniform(6) of
        1 -> rand:uniform(128) - 1;
        2 -> 127 + rand:uniform(128);
        3 -> 16#3FF + rand:uniform(100);
        4 -> 16#1F600 + rand:uniform(50);
        _ -> 31 + rand:uniform(95)
    end.

atom() ->
    case rand:uniform(8) of
        1 -> list_to_atom(chars(fun character/0));
        2 -> lists:nth(rand:uniform(6), [true, false, undefined, 'receive', maybe, 'Elixir.MyApp.Endpoint']);
        3 -> list_to_atom([$a + rand:uniform(5), 16#DF + rand:uniform(31)]);
        _ -> list_to_atom([$a + rand:uniform(20) | chars(fun() -> $a + rand:uniform(20) end)])
    end.
