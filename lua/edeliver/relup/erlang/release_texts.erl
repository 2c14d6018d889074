%% The release that runs, and the texts that describe it: `{Name, Version, Root, Texts, Beams}`. Texts are `{Path, Text}` of the
%% version's own folder and of the .app and .appup files of its applications, Beams the paths of its consolidated protocols; paths
%% begin below Root. `no_release` where nothing says which release runs.
%%
%% unpack_release deletes the .rel file of a release as mix packs it: then one is made of what release_handler knows, and of the boot
%% file, which has the start types.
-module(release_texts).
-export([run/1]).

run(Most) ->
  Root = code:root_dir(),
  Known = try release_handler:which_releases() catch _:_ -> [] end,
  ByStatus = fun(Status) -> [{N, V} || {N, V, _, S} <- Known, S =:= Status] end,
  Running = case {ByStatus(tmp_current) ++ ByStatus(current) ++ ByStatus(permanent), init:script_id()} of
    {[Release | _], _} -> Release;
    {[], {N, V}} when N =/= "", V =/= "" -> {N, V};
    {[], _} -> no_release
  end,
  Below = fun(Path) -> filename:join(Root, Path) end,
  Read = fun(Path) ->
    case filelib:file_size(Below(Path)) =< Most andalso file:read_file(Below(Path)) of
      {ok, Text} -> [{unicode:characters_to_binary(Path), Text}];
      _ -> []
    end
  end,
  Started = fun(Folder) ->
    try
      {ok, Boot} = file:read_file(Below(Folder ++ "/start.boot")),
      {script, _, Instructions} = binary_to_term(Boot),
      [{App, Type} || {apply, {application, start_boot, [App, Type]}} <- Instructions] ++
      [{App, load} || {apply, {application, load, [{application, App, _}]}} <- Instructions]
    catch _:_ -> []
    end
  end,
  Rel = fun(Name, Version, Folder) ->
    case {filelib:wildcard("*.rel", Below(Folder)) -- ["start_clean.rel"],
          [Libraries || {N, V, Libraries, _} <- Known, N =:= Name, V =:= Version, Libraries =/= []]} of
      {[], [Libraries | _]} ->
        Types = Started(Folder),
        Apps = [{list_to_atom(App), Vsn, proplists:get_value(list_to_atom(App), Types, none)}
                || Library <- Libraries, [App, Vsn] <- [string:split(Library, "-")]],
        Text = io_lib:format("~tp.~n", [{release, {Name, Version}, {erts, erlang:system_info(version)}, Apps}]),
        [{unicode:characters_to_binary(filename:join(Folder, Name ++ ".rel")), unicode:characters_to_binary(Text)}];
      _ -> []
    end
  end,
  case Running of
    no_release -> no_release;
    {Name, Version} ->
      Folder = "releases/" ++ Version,
      Own = [filename:join(Folder, File) || Pattern <- ["*.rel", "sys.config", "vm.args", "env.sh", "runtime.exs"],
                                            File <- filelib:wildcard(Pattern, Below(Folder))],
      Apps = filelib:wildcard("lib/*/ebin/*.{app,appup}", Root),
      Beams = [filename:join([Folder, "consolidated", File]) || File <- filelib:wildcard("*.beam", Below(Folder ++ "/consolidated"))],
      {unicode:characters_to_binary(Name), unicode:characters_to_binary(Version), unicode:characters_to_binary(Root),
       Rel(Name, Version, Folder) ++ lists:append(lists:map(Read, Own ++ Apps)), [unicode:characters_to_binary(File) || File <- Beams]}
  end.
