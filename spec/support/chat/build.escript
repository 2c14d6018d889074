#!/usr/bin/env escript
%% Builds the chat release: build.escript SOURCES LIBS OUT, where LIBS has cowboy, cowlib and ranch.
%%
%%   OUT/root                 version 1.0.0, laid out as a target system: lib/, releases/RELEASES, releases/start_erl.data
%%   OUT/chat-VERSION.tar.gz  each of the versions that 1.0.0 can be upgraded to, for release_handler:unpack_release
%%
%% Nothing here knows where a node will run: RELEASES has relative paths, and the boot script takes its root from the VM.
-mode(compile).

-define(BASE, "1.0.0").
-define(OTP, [kernel, stdlib, sasl, crypto, asn1, public_key, ssl]).

%% {Version, how the channels are upgraded, what happens to the relup that systools made}
versions() ->
    [{"2.0.0", load, fun(Script) -> Script end},
     {"2.1.0", update, fun(Script) -> Script end},
     {"2.0.1-early", load, fun(Script) -> before_no_return(Script, failure()) end},
     {"2.0.1-late", load, fun(Script) -> Script ++ [failure()] end}].

failure() ->
    {apply, {erlang, error, [chat_upgrade_fails]}}.

before_no_return(Script, New) ->
    {Before, After} = lists:splitwith(fun(I) -> I =/= point_of_no_return end, Script),
    Before ++ [New | After].

main([Sources, Libs, Out]) ->
    Root = filename:join(Out, "root"),
    Lib = filename:join(Root, "lib"),
    [copy_app(code:lib_dir(App), Lib) || App <- ?OTP],
    [copy_app(Dir, Lib) || App <- ["cowboy", "cowlib", "ranch"], Dir <- filelib:wildcard(filename:join(Libs, App ++ "-*"))],
    true = code:set_path(filelib:wildcard(filename:join(Lib, "*/ebin")) ++ code:get_path()),
    {BaseRel, _} = release(?BASE, none, Sources, Root),
    first_release(BaseRel, Root),
    [upgrade(Version, Sources, Root, Out, BaseRel) || Version <- versions()].

%% What an application needs when it runs.
copy_app(Dir, Lib) ->
    Target = filename:join(Lib, filename:basename(Dir)),
    ok = filelib:ensure_dir(filename:join(Target, "x")),
    "" = os:cmd(lists:concat(["cd '", Dir, "' && for part in ebin priv; do [ ! -d $part ] || cp -RL $part '", Target, "'; done"])).

%% Compiles the application, writes its .app, .appup, .rel and boot script; gives the paths of .rel (without extension) and ebin.
release(Version, Channels, Sources, Root) ->
    Name = "chat-" ++ Version,
    Ebin = filename:join([Root, "lib", Name, "ebin"]),
    Rel = filename:join([Root, "releases", Version, Name]),
    ok = filelib:ensure_dir(filename:join(Ebin, "x")),
    ok = filelib:ensure_dir(Rel),
    Options = [{d, 'VSN', Version}, {outdir, Ebin}, debug_info, report, warnings_as_errors]
        ++ [{d, 'CHAT_2'} || Version =/= ?BASE],
    Modules = [compile(File, Options) || File <- filelib:wildcard(filename:join(Sources, "*.erl"))],
    write(filename:join(Ebin, "chat.app"),
          {application, chat, [{description, "Chat"}, {vsn, Version}, {modules, Modules},
                               {registered, ['Elixir.Chat.Supervisor', 'Elixir.Chat.Endpoint', 'Elixir.Chat.PubSub', chat_counter]},
                               {applications, [kernel, stdlib, sasl, cowboy, ranch]}, {mod, {chat_app, []}}]}),
    [write(filename:join(Ebin, "chat.appup"), appup(Version, Channels)) || Channels =/= none],
    write(Rel ++ ".rel", {release, {"chat", Version}, {erts, erlang:system_info(version)}, applications(Root, Version)}),
    write(filename:join(filename:dirname(Rel), "sys.config"), [{sasl, [{sasl_error_logger, false}]}]),
    {ok, systools_make, _} = systools:make_script(Rel, [silent, no_warn_sasl, {path, paths(Root, Version)},
                                         {script_name, "start"}, {outdir, filename:dirname(Rel)}]),
    {Rel, Ebin}.

compile(File, Options) ->
    {ok, Module} = compile:file(File, Options),
    Module.

%% In version 2.1.0 the release handler itself suspends, changes and resumes every channel; else their code is just loaded.
appup(Version, Channels) ->
    Channel = case Channels of
                  load -> {load_module, 'Elixir.Chat.RoomChannel'};
                  update -> {update, 'Elixir.Chat.RoomChannel', {advanced, []}}
              end,
    Script = [{update, chat_counter, {advanced, []}}, Channel, {load_module, chat_socket}, {load_module, chat_http}],
    {Version, [{?BASE, Script}], [{?BASE, Script}]}.

applications(Root, Version) ->
    [{App, vsn(Root, App)} || App <- ?OTP ++ [cowlib, ranch, cowboy]] ++ [{chat, Version}].

vsn(Root, App) ->
    [Dir] = filelib:wildcard(filename:join([Root, "lib", atom_to_list(App) ++ "-*"])),
    lists:nthtail(length(atom_to_list(App)) + 1, filename:basename(Dir)).

paths(Root, Version) ->
    Others = [Dir || Dir <- filelib:wildcard(filename:join([Root, "lib", "*", "ebin"])),
                     string:find(Dir, "/chat-") =:= nomatch],
    [filename:join([Root, "lib", "chat-" ++ Version, "ebin"]) | Others].

first_release(Rel, Root) ->
    Releases = filename:join(Root, "releases"),
    ok = release_handler:create_RELEASES("", Releases, Rel ++ ".rel", []),
    ok = file:write_file(filename:join(Releases, "start_erl.data"), [erlang:system_info(version), " ", ?BASE, "\n"]).

%% The upgrade's own files leave the root again: they arrive on a node by unpack_release.
upgrade({Version, Channels, Change}, Sources, Root, Out, BaseRel) ->
    {Rel, Ebin} = release(Version, Channels, Sources, Root),
    {ok, {Version, Ups, Downs}, systools_relup, _} =
        systools:make_relup(Rel, [BaseRel], [BaseRel], [silent, noexec, {path, paths(Root, Version) ++ paths(Root, ?BASE)}]),
    write(filename:join(filename:dirname(Rel), "relup"),
          {Version, [{From, Descr, Change(Script)} || {From, Descr, Script} <- Ups], Downs}),
    {ok, systools_make, _} = systools:make_tar(Rel, [silent, no_warn_sasl, {path, paths(Root, Version)}, {outdir, Out}]),
    ok = file:del_dir_r(filename:dirname(Rel)),
    ok = file:del_dir_r(filename:dirname(Ebin)).

write(File, Term) ->
    ok = file:write_file(File, io_lib:format("~tp.~n", [Term])).
