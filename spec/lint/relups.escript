#!/usr/bin/env escript
%% Makes two releases of an application `shop` and, for each form of appup(5), the relup that systools makes of it.
%% Usage: relups.escript FOLDER. Leaves FOLDER/lib/shop-{1,2}.0.0/ebin and FOLDER/relups/NAME/relup.
%%        relups.escript FOLDER CASES: does systools take these appups? CASES holds terms {Name, Up}; prints {Name, ok} or
%%        {Name, {error, Reason}} for each.

main([Dir, Cases]) ->
    {ok, Scripts} = file:consult(Cases),
    [io:format("~0tp.~n", [{Name, judge(Dir, Up)}]) || {Name, Up} <- Scripts];
main([Dir]) ->
    ok = make_lib(Dir, "shop", "1.0.0", [{m_old, 1}, {m_a, 1}, {m_b, 1}, {m_same, 1}, {m_sup, 1}]),
    ok = make_lib(Dir, "shop", "2.0.0", [{m_new, 2}, {m_a, 2}, {m_b, 2}, {m_same, 1}, {m_sup, 2}]),
    ok = make_lib(Dir, "extra", "1.0.0", [{m_extra, 1}]),
    [make_relup(Dir, Name, Options, Up, Down, With) || {Name, Options, Up, Down, With} <- forms()],
    ok.

forms() ->
    Swap = [{add_module, m_new}, {delete_module, m_old}, {load_module, m_a}, {load_module, m_b}, {update, m_sup, supervisor}],
    Back = [{update, m_sup, supervisor}, {load_module, m_b}, {load_module, m_a}, {add_module, m_old}, {delete_module, m_new}],
    [{"swap", [], Swap, Back, []},
     {"dependencies", [], [{load_module, m_b}, {load_module, m_a, [m_b]}], [{load_module, m_a, [m_b]}, {load_module, m_b}], []},
     {"purges", [], [{load_module, m_a, soft_purge, soft_purge, []}, {load_module, m_b, brutal_purge, soft_purge, [m_a]}],
      [{load_module, m_a, soft_purge, brutal_purge, []}], []},
     {"update", [], [{update, m_a}], [{update, m_a}], []},
     {"update_change", [], [{update, m_a, {advanced, [x, {y, "z"}]}}], [{update, m_a, soft}], []},
     {"update_modules", [], [{update, m_a, [m_b]}, {load_module, m_b}], [{update, m_a, soft, [m_b]}, {load_module, m_b}], []},
     {"update_purge", [], [{update, m_a, {advanced, []}, soft_purge, soft_purge, []}],
      [{update, m_a, 10000, soft, soft_purge, brutal_purge, []}], []},
     {"update_type", [], [{update, m_a, static, infinity, {advanced, []}, brutal_purge, brutal_purge, []}],
      [{update, m_a, dynamic, default, {advanced, []}, brutal_purge, brutal_purge, []}], []},
     {"supervisor", [], [{update, m_sup, supervisor}, {apply, {m_a, version, []}}],
      [{apply, {m_a, version, []}}, {update, m_sup, supervisor}], []},
     {"apply", [], [{apply, {m_a, version, []}}, {load_module, m_a}, {apply, {m_a, later, [1, "text"]}}, {apply, {io, format, ["~n"]}}],
      [{load_module, m_a}, {apply, {m_a, version, []}}], []},
     {"add_modules", [], [{add_module, m_new, [m_a]}, {load_module, m_a}, {apply, {m_new, version, []}}],
      [{load_module, m_a}, {delete_module, m_new, [m_a]}], []},
     {"restart_application", [], [{restart_application, shop}], [{restart_application, shop}], []},
     {"remove_application", [], [{load_module, m_a}], [{load_module, m_a}], [one]},
     {"add_application", [], [{load_module, m_a}], [{load_module, m_a}], [two]},
     {"low_level", [], [{load_object_code, {shop, "2.0.0", [m_a]}}, point_of_no_return, {suspend, [m_a]},
                        {load, {m_a, brutal_purge, brutal_purge}}, {code_change, up, [{m_a, []}]}, {resume, [m_a]},
                        {stop, [m_sup]}, {start, [m_sup]}, {sync_nodes, id, [node()]}],
      [{load_object_code, {shop, "1.0.0", [m_a]}}, point_of_no_return, {suspend, [{m_a, 1000}]},
       {code_change, down, [{m_a, []}]}, {load, {m_a, soft_purge, soft_purge}}, {resume, [m_a]},
       {sync_nodes, id, {erlang, nodes, []}}], []},
     {"restart_new_emulator", [], [restart_new_emulator], [restart_emulator], []},
     {"restart_option", [restart_emulator], Swap, Back, []},
     {"nothing", [], [], [], []}].

make_lib(Dir, App, Vsn, Modules) ->
    Ebin = filename:join([Dir, "lib", App ++ "-" ++ Vsn, "ebin"]),
    ok = filelib:ensure_dir(filename:join(Ebin, "x")),
    [begin
         {ok, M, Code} = compile:forms(forms_of(M, V), [debug_info, deterministic]),
         ok = file:write_file(filename:join(Ebin, atom_to_list(M) ++ ".beam"), Code)
     end || {M, V} <- Modules],
    Description = {application, list_to_atom(App), [{description, App}, {vsn, Vsn}, {modules, [M || {M, _} <- Modules]},
        {registered, []}, {applications, [kernel, stdlib]}]},
    file:write_file(filename:join(Ebin, App ++ ".app"), io_lib:format("~tp.~n", [Description])).

%% -module(M). -export([version/0]). version() -> V. And, from version 2 on, later/2.
forms_of(M, V) ->
    Later = [{function, 4, later, 2, [{clause, 4, [{var, 4, '_'}, {var, 4, '_'}], [], [{atom, 4, ok}]}]} || V > 1],
    Exports = [{version, 0} | [{later, 2} || V > 1]],
    [{attribute, 1, module, M}, {attribute, 2, export, Exports},
     {function, 3, version, 0, [{clause, 3, [], [], [{integer, 3, V}]}]} | Later].

judge(Dir, Up) ->
    case catch make_relup(Dir, "judged", [noexec], Up, [], []) of
        ok -> ok;
        {'EXIT', {{badmatch, {error, _, Reason}}, _}} -> {error, Reason}
    end.

make_relup(Dir, Name, Options, Up, Down, With) ->
    Out = filename:join([Dir, "relups", Name]),
    ok = filelib:ensure_dir(filename:join(Out, "x")),
    write(filename:join([Dir, "lib", "shop-2.0.0", "ebin", "shop.appup"]), {"2.0.0", [{"1.0.0", Up}], [{"1.0.0", Down}]}),
    Extra = fun(Present) -> [{extra, "1.0.0", load} || Present] end,
    write(filename:join(Out, "one.rel"), release("1.0.0", Extra(With =:= [one]))),
    write(filename:join(Out, "two.rel"), release("2.0.0", Extra(With =:= [two]))),
    Path = [filename:join([Dir, "lib", "*", "ebin"])],
    {ok, _, _, _} = systools:make_relup(filename:join(Out, "two"), [filename:join(Out, "one")], [filename:join(Out, "one")],
        [{path, Path}, {outdir, Out}, silent | Options]),
    ok.

release(Vsn, Extra) ->
    Vsns = [{App, vsn(App)} || App <- [kernel, stdlib, sasl]],
    {release, {"shop", Vsn}, {erts, erlang:system_info(version)}, [{shop, Vsn} | Vsns] ++ Extra}.

vsn(App) ->
    application:load(App),
    {ok, Vsn} = application:get_key(App, vsn),
    Vsn.

write(File, Term) -> ok = file:write_file(File, io_lib:format("~tp.~n", [Term])).
