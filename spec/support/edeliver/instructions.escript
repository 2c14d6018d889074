#!/usr/bin/env escript
%% Puts modules into a version of the chat release that is unpacked, as edeliver's instructions would be there, and has systools
%% make its relup anew: instructions.escript ROOT FROM TO MODULE...
%%
%% Each module's run/1 remembers that it ran, and by which code of chat_http the node was running then.
-mode(compile).

main([Root, From, To | Names]) ->
    Modules = [list_to_atom(Name) || Name <- Names],
    Ebin = filename:join([Root, "lib", "chat-" ++ To, "ebin"]),
    [ok = compile(Module, Ebin) || Module <- Modules],
    change(filename:join(Ebin, "chat.app"), fun({application, chat, Keys}) ->
        {modules, Known} = lists:keyfind(modules, 1, Keys),
        {application, chat, lists:keystore(modules, 1, Keys, {modules, Known ++ Modules})}
    end),
    %% A tarball of a release has no appups.
    Script = [{update, chat_counter, {advanced, []}}, {load_module, 'Elixir.Chat.RoomChannel'},
              {load_module, chat_socket}, {load_module, chat_http}],
    write(filename:join(Ebin, "chat.appup"),
          {To, [{From, Script ++ [{add_module, M} || M <- Modules]}], [{From, Script ++ [{delete_module, M} || M <- Modules]}]}),
    Others = [Dir || Dir <- filelib:wildcard(filename:join([Root, "lib", "*", "ebin"])), string:find(Dir, "/chat-") =:= nomatch],
    Path = [Ebin, filename:join([Root, "lib", "chat-" ++ From, "ebin"]) | Others],
    {ok, Relup, systools_relup, _} =
        systools:make_relup(rel(Root, To), [rel(Root, From)], [rel(Root, From)], [silent, noexec, {path, Path}]),
    write(filename:join([Root, "releases", To, "relup"]), Relup).

rel(Root, Version) ->
    [File | _] = filelib:wildcard(filename:join([Root, "releases", Version, "*.rel"])),
    filename:rootname(File).

compile(Module, Ebin) ->
    Run = "run(_) -> persistent_term:put(ran, [{~p, erlang:get_module_info(chat_http, md5)} | persistent_term:get(ran, [])]), ok.",
    Forms = [form(Text) || Text <- [io_lib:format("-module(~p).", [Module]), "-export([run/1]).", io_lib:format(Run, [Module])]],
    {ok, Module, Beam} = compile:forms(Forms),
    file:write_file(filename:join(Ebin, atom_to_list(Module) ++ ".beam"), Beam).

form(Text) ->
    {ok, Tokens, _} = erl_scan:string(lists:flatten(Text)),
    {ok, Form} = erl_parse:parse_form(Tokens),
    Form.

change(File, Change) ->
    {ok, [Term]} = file:consult(File),
    write(File, Change(Term)).

write(File, Term) ->
    ok = file:write_file(File, io_lib:format("~tp.~n", [Term])).
