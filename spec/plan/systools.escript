#!/usr/bin/env escript
%% Makes releases of an application `shop` (and others), in versions 1, 2 and 3, and for each case the relup that systools makes
%% to version 3. Usage: systools.escript FOLDER. Leaves FOLDER/CASE/VERSION/{lib,releases} and FOLDER/CASE/relup, or
%% FOLDER/CASE/refused where systools refuses.

main([Folder]) ->
    Base = filename:join(Folder, "base"),
    [copy_application(App, Base) || App <- [kernel, stdlib, sasl]],
    [make_case(Folder, Base, Name, Case) || {Name, Case} <- cases() ++ random_cases()],
    ok.

copy_application(App, Base) ->
    Dir = code:lib_dir(App),
    To = filename:join([Base, filename:basename(Dir), "ebin"]),
    ok = filelib:ensure_dir(filename:join(To, "x")),
    [{ok, _} = file:copy(File, filename:join(To, filename:basename(File))) || File <- filelib:wildcard(Dir ++ "/ebin/*")].

%% A case: for each version, the applications {Name, Vsn, [{Module, Content}]} with their types, and the appups {Name, Up, Down} of
%% version 3, for the versions 2 (and 1). `generated` leaves them to whoever compares.
cases() ->
    Shop = fun(V, Modules) -> {shop, V, permanent, Modules} end,
    Three = [{m_a, 1}, {m_b, 1}, {m_c, 1}],
    Changed = [{m_a, 2}, {m_b, 2}, {m_c, 2}],
    One = fun(Up, Down) -> {[{2, [Shop("2.0.0", Three)]}, {3, [Shop("3.0.0", Changed)]}], [{shop, [{"2.0.0", Up}], [{"2.0.0", Down}]}]} end,
    [{"loads", One([{load_module, m_a}, {load_module, m_b}], [{load_module, m_b}])},
     {"chain", One([{load_module, m_a, [m_b]}, {load_module, m_b, [m_c]}, {load_module, m_c}],
                   [{load_module, m_c}, {load_module, m_b, [m_c]}, {load_module, m_a, [m_b]}])},
     {"star", One([{load_module, m_a, [m_b, m_c]}, {load_module, m_b}, {load_module, m_c}],
                  [{load_module, m_c}, {load_module, m_b}, {load_module, m_a, [m_c, m_b]}])},
     {"updates", One([{update, m_a, {advanced, []}, [m_b]}, {update, m_b, 5000, soft, soft_purge, brutal_purge, [m_c]},
                      {update, m_c, static, infinity, {advanced, x}, brutal_purge, soft_purge, []}],
                     [{update, m_c, static, 100, {advanced, x}, brutal_purge, soft_purge, []}, {update, m_b, soft, [m_c]},
                      {update, m_a, {advanced, []}, [m_b]}])},
     {"cycle", One([{update, m_a, {advanced, []}, [m_b]}, {load_module, m_b, [m_c]}, {update, m_c, supervisor}, {apply, {m_a, x, []}}],
                   [{update, m_c, {advanced, []}, [m_a]}, {update, m_b, {advanced, []}, [m_c]}, {update, m_a, {advanced, []}, [m_b]}])},
     {"between", {[{2, [Shop("2.0.0", Three), {more, "1.0.0", transient, [{o_a, 1}]}]}, {3, [Shop("3.0.0", Changed), {more, "1.0.0", transient, [{o_a, 1}]}]}],
                  [{shop, [{"2.0.0", [{load_module, m_c}, {apply, {io, format, ["~n"]}}, {update, m_a, soft}, {restart_application, more},
                                      {load_module, m_b}]}],
                    [{"2.0.0", [{apply, {io, format, []}}]}]}]}},
     {"low", One([{apply, {m_a, before, []}}, {load_object_code, {shop, "3.0.0", [m_a]}}, point_of_no_return, {suspend, [{m_a, 10}]},
                  {load, {m_a, soft_purge, soft_purge}}, {code_change, up, [{m_a, []}]}, {resume, [m_a]}, {stop, [m_b]}, {start, [m_b]},
                  {sync_nodes, id, [n@h]}],
                 [{load_object_code, {shop, "2.0.0", [m_a]}}, {load, {m_a, soft_purge, soft_purge}}])},
     {"restart", One([restart_new_emulator, {load_module, m_a}], [{load_module, m_a}, restart_new_emulator])},
     {"restart_2", One([{load_module, m_a}, restart_emulator], [restart_emulator, {load_module, m_a}])},
     {"bad_point", One([{load_module, m_a}, point_of_no_return], [])},
     {"bad_resume", One([{suspend, [m_a]}], [])},
     {"bad_module", One([{load_module, m_none}], [])},
     {"bad_twice", One([{load_module, m_a}, {load_module, m_a}], [])},
     {"bad_undefined", One([{load_module, m_a, [m_b]}], [])},
     {"modules", {[{2, [Shop("2.0.0", [{m_a, 1}, {m_old, 1}])]}, {3, [Shop("3.0.0", [{m_a, 2}, {m_new, 1}])]}],
                  [{shop, [{"2.0.0", [{add_module, m_new, [m_a]}, {load_module, m_a}, {delete_module, m_old}]}],
                    [{"2.0.0", [{add_module, m_old}, {load_module, m_a}, {delete_module, m_new}]}]}]}},
     {"applications", {[{2, [Shop("2.0.0", Three), {gone, "1.0.0", permanent, [{g_a, 1}, {g_b, 1}]}, {loaded, "1.0.0", load, [{l_a, 1}]}]},
                        {3, [{new_2, "1.0.0", load, [{n_c, 1}]}, Shop("3.0.0", Changed), {new, "1.0.0", transient, [{n_a, 1}, {n_b, 1}]},
                             {new_3, "1.0.0", none, [{n_d, 1}]}]}],
                       [{shop, [{"2.0.0", [{load_module, m_a}]}], [{"2.0.0", [{load_module, m_a}]}]}]}},
     {"several", {[{1, [Shop("1.0.0", [{m_a, 0}])]}, {2, [Shop("2.0.0", Three), {more, "1.0.0", permanent, [{o_a, 1}]}]},
                   {3, [Shop("3.0.0", Changed), {more, "2.0.0", permanent, [{o_a, 2}]}]}],
                  [{shop, [{<<"^2\\.0\\.[0-9]+$">>, [{load_module, m_a}]}, {"1.0.0", [{load_module, m_a}, {add_module, m_b}, {add_module, m_c}]}],
                    [{<<"2.*">>, [{load_module, m_a}]}, {<<"(1|9)(?:\\.\\d+)*">>, [{load_module, m_a}]}]},
                   {more, [{"1.0.0", [{update, o_a, {advanced, []}}]}], [{"1.0.0", [{update, o_a, {advanced, []}}]}]}]}},
     {"two_cycles", One([{load_module, m_a, [m_b]}, {update, m_b, {advanced, []}, [m_a, m_c]}, {load_module, m_c, [m_c]}],
                        [{update, m_c, {advanced, []}, [m_b]}, {load_module, m_b, [m_c]}, {load_module, m_a, [m_b]}])},
     {"types", {[{2, [Shop("2.0.0", Three), {gone, "1.0.0", temporary, [{g_a, 1}]}, {gone_2, "3.0.0", none, [{g_b, 1}]}]},
                 {3, [{new, "1.0.0", temporary, [{n_a, 1}]}, Shop("3.0.0", Changed), {new_2, "1.0.0", permanent, []}]}],
                [{shop, [{"2.0.0", [{add_application, new_3, load}, {remove_application, new_4}]}], [{"2.0.0", []}]}]}},
     {"added", {[{2, [Shop("2.0.0", Three), {more, "1.0.0", permanent, [{o_a, 1}]}]},
                 {3, [Shop("3.0.0", Changed), {more, "1.0.0", permanent, [{o_a, 1}]}]}],
                [{shop, [{"2.0.0", [{remove_application, more}, {add_application, more, transient}, {load_module, m_b}]}], [{"2.0.0", []}]}]}},
     {"restarts", {[{2, [Shop("2.0.0", Three), {more, "1.0.0", temporary, [{o_a, 1}]}, {quiet, "1.0.0", none, [{q_a, 1}]}]},
                    {3, [Shop("3.0.0", Changed), {more, "1.0.0", temporary, [{o_a, 1}]}, {quiet, "1.0.0", load, [{q_a, 1}]}]}],
                   [{shop, [{"2.0.0", [{restart_application, more}, {restart_application, quiet}]}],
                     [{"2.0.0", [{restart_application, shop}, {restart_application, quiet}]}]}]}},
     {"erts", {[{2, [Shop("2.0.0", Three)], "0.1"}, {3, [Shop("3.0.0", Changed)]}],
               [{shop, [{"2.0.0", [{load_module, m_a}]}], [{"2.0.0", [{update, m_a, soft}]}]}]}},
     {"generated_2", {[{1, [Shop("1.0.0", [{m_a, 1}, {m_server, 1}, {m_sup, 2}])]},
                       {2, [Shop("2.0.0", [{m_a, 2}, {m_sup, 1}, {m_server, 2}, {m_old, 1}]), {gone, "1.0.0", permanent, [{g_a, 1}]}]},
                       {3, [Shop("3.0.0", [{m_a, 2}, {m_sup, 2}, {m_server, 2}, {m_new, 1}]), {new, "1.0.0", permanent, [{n_a, 1}]}]}],
                      generated}},
     {"generated", {[{2, [Shop("2.0.0", [{m_a, 1}, {m_sup, 1}, {m_server, 1}, {m_old, 1}, {m_same, 1}]), {gone, "1.0.0", permanent, [{g_a, 1}]}]},
                     {3, [Shop("3.0.0", [{m_a, 2}, {m_sup, 2}, {m_server, 2}, {m_new, 1}, {m_same, 1}]), {new, "1.0.0", permanent, [{n_a, 1}]}]}],
                    generated}}].

%% Instructions of every form, each of which depends on the next and on some behind it: so their order is told.
random_cases() ->
    [begin
         rand:seed(exsss, {1, 2, Seed}),
         Names = [m_a, m_b, m_c, m_d, m_e, m_f],
         Modules = fun(V) -> [{shop, integer_to_list(V) ++ ".0.0", permanent, [{M, V} || M <- Names]}] end,
         {"random_" ++ integer_to_list(Seed),
          {[{2, Modules(2)}, {3, Modules(3)}], [{shop, [{"2.0.0", random_script(Names)}], [{"2.0.0", random_script(Names)}]}]}}
     end || Seed <- lists:seq(1, 24)].

random_script(Names) ->
    Some = lists:nthtail(rand:uniform(3), [M || {_, M} <- lists:sort([{rand:uniform(), M} || M <- Names])]),
    Scripts = random_chain(Some),
    [I || {_, I} <- lists:sort([{rand:uniform(), I} || I <- Scripts])] ++ one_of([[], [{apply, {m_a, done, [1]}}]]).

random_chain([Last]) -> [random_instruction(Last, [])];
random_chain([M, Next | Others]) ->
    Needs = [Next | [O || O <- Others, rand:uniform(3) =:= 1]],
    [random_instruction(M, Needs) | random_chain([Next | Others])].

random_instruction(M, Needs) ->
    Purge = fun() -> one_of([soft_purge, brutal_purge]) end,
    Change = one_of([soft, {advanced, []}, {advanced, {a, [1]}}]),
    Timeout = one_of([default, infinity, 5000, 1]),
    one_of([{load_module, M, Needs}, {load_module, M, Purge(), Purge(), Needs}, {update, M, Change, Needs},
            {update, M, Change, Purge(), Purge(), Needs}, {update, M, Timeout, Change, Purge(), Purge(), Needs},
            {update, M, one_of([static, dynamic]), Timeout, Change, Purge(), Purge(), Needs}, {delete_module, M, Needs}]).

one_of(List) -> lists:nth(rand:uniform(length(List)), List).

make_case(Folder, Base, Name, {Versions, Appups}) ->
    Dir = filename:join(Folder, Name),
    Made = [case Version of
                {V, Apps} -> {V, make_release(Dir, Base, V, Apps, erlang:system_info(version))};
                {V, Apps, Erts} -> {V, make_release(Dir, Base, V, Apps, Erts)}
            end || Version <- Versions],
    {_, New} = lists:last(Made),
    Old = [R || {_, R} <- lists:droplast(Made)],
    write_appups(Dir, Appups),
    case Appups of
        generated -> ok;
        _ -> make_relup(Dir, New, Old)
    end.

make_relup(Dir, New, Old) ->
    Path = [filename:join([filename:dirname(filename:dirname(filename:dirname(R))), "lib", "*", "ebin"]) || R <- [New | Old]],
    case systools:make_relup(New, Old, Old, [{path, Path}, {outdir, Dir}, noexec, silent]) of
        {ok, Relup, _, _} ->
            make_tar(Dir, New, Path),
            ok = file:write_file(filename:join(Dir, "relup"), io_lib:format("~tp.~n", [Relup]));
        {error, _, Reason} ->
            ok = file:write_file(filename:join(Dir, "refused"), io_lib:format("~tp", [Reason]))
    end.

%% A release as systools packs it, for one case.
make_tar(Dir, New, Path) ->
    case filename:basename(Dir) of
        "loads" ->
            {ok, _, _} = systools:make_script(New, [{path, Path}, silent]),
            {ok, _, _} = systools:make_tar(New, [{path, Path}, {outdir, Dir}, silent]);
        _ -> ok
    end.

write_appups(_, generated) -> ok;
write_appups(Dir, Appups) ->
    [begin
         [Ebin] = filelib:wildcard(filename:join([Dir, "3", "lib", atom_to_list(App) ++ "-*", "ebin"])),
         {ok, [{application, _, Keys}]} = file:consult(filename:join(Ebin, atom_to_list(App) ++ ".app")),
         Text = io_lib:format("~tp.~n", [{proplists:get_value(vsn, Keys), Up, Down}]),
         ok = file:write_file(filename:join(Ebin, atom_to_list(App) ++ ".appup"), Text)
     end || {App, Up, Down} <- Appups].

%% The release's file without its extension.
make_release(Dir, Base, Version, Apps, Erts) ->
    Root = filename:join(Dir, integer_to_list(Version)),
    Vsn = integer_to_list(Version) ++ ".0.0",
    Own = filename:join(Root, "lib"),
    ok = filelib:ensure_dir(filename:join([Root, "releases", Vsn, "x"])),
    ok = filelib:ensure_dir(filename:join(Own, "x")),
    "" = os:cmd("cp -al " ++ Base ++ "/* " ++ Own),
    [make_application(Own, App) || App <- Apps],
    Otp = [{App, vsn(Base, App)} || App <- [kernel, stdlib, sasl]],
    Listed = Otp ++ [{Name, V, Type} || {Name, V, Type, _} <- Apps],
    Stem = filename:join([Root, "releases", Vsn, "x"]),
    Rel = {release, {"x", Vsn}, {erts, Erts}, Listed},
    ok = file:write_file(Stem ++ ".rel", io_lib:format("~tp.~n", [Rel])),
    Stem.

vsn(Base, App) ->
    [Dir] = filelib:wildcard(filename:join(Base, atom_to_list(App) ++ "-*")),
    "-" ++ Vsn = string:prefix(filename:basename(Dir), atom_to_list(App)),
    Vsn.

make_application(Lib, {Name, Vsn, _, Modules}) ->
    Ebin = filename:join([Lib, atom_to_list(Name) ++ "-" ++ Vsn, "ebin"]),
    ok = filelib:ensure_dir(filename:join(Ebin, "x")),
    [ok = file:write_file(filename:join(Ebin, atom_to_list(M) ++ ".beam"), compile(M, Content)) || {M, Content} <- Modules],
    App = {application, Name, [{description, ""}, {vsn, Vsn}, {modules, [M || {M, _} <- Modules]}, {registered, []},
                               {applications, [kernel, stdlib]}]},
    ok = file:write_file(filename:join(Ebin, atom_to_list(Name) ++ ".app"), io_lib:format("~tp.~n", [App])).

%% m_sup is a supervisor, m_server a server with a code_change.
compile(Module, Content) ->
    Lines = ["-module(" ++ atom_to_list(Module) ++ ").", "-export([version/0]).",
             "version() -> " ++ integer_to_list(Content) ++ "." | more(Module)],
    Forms = [begin {ok, Tokens, _} = erl_scan:string(Line), {ok, Form} = erl_parse:parse_form(Tokens), Form end || Line <- Lines],
    {Attributes, Functions} = lists:partition(fun(Form) -> element(1, Form) =:= attribute end, Forms),
    {ok, Module, Bin} = compile:forms(Attributes ++ Functions, []),
    Bin.

more(m_sup) -> ["-behaviour(supervisor).", "-export([init/1]).", "init(_) -> {ok, {{one_for_one, 1, 1}, []}}."];
more(m_server) -> ["-behaviour(gen_server).", "-export([code_change/3]).", "code_change(_, S, _) -> {ok, {new, S}}."];
more(_) -> [].
