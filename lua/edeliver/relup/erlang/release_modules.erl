%% The modules of a release that lies on the node's disk: `{Modules, Consolidated, Paths}`, or `{error, Reason}`. Each module is
%% `{Module, Application, Path, OfFile, Loaded}`: the md5 of its file's code, and of what is loaded, or `none`; with Read = false no
%% file is read, and OfFile says `there` of one that is. Of a protocol the consolidated file counts. Where unpack_release has deleted
%% the .rel file, release_handler knows the libraries. Consolidated is the folder of those, or `none`, Paths the folders of
%% consolidated protocols in the code path, as they are spelled there. Loads nothing.
-module(release_modules).
-export([run/2]).
-compile(nowarn_deprecated_catch).

run(Version, Read) ->
  Root = code:root_dir(),
  Releases = case {application:get_env(sasl, releases_dir), os:getenv("RELDIR")} of
    {{ok, Set}, _} -> Set;
    {undefined, false} -> filename:join(Root, "releases");
    {undefined, Set} -> Set
  end,
  Folder = filename:join(Releases, Version),
  Rels = [Libraries || File <- filelib:wildcard(filename:join(Folder, "*.rel")) ++ filelib:wildcard(filename:join(Releases, "*.rel")),
                       {ok, [{release, {_, V}, _, Libraries}]} <- [file:consult(File)], V =:= Version,
                       not lists:member(filename:basename(File), ["start_clean.rel", "no_dot_erlang.rel"])],
  Known = [[{list_to_atom(App), Vsn} || Library <- Libraries, [App, Vsn] <- [string:split(Library, "-")]]
           || {_, V, Libraries, _} <- try release_handler:which_releases() catch _:_ -> [] end, V =:= Version, Libraries =/= []],
  Md5 = fun(Path) ->
    case Read andalso file:read_file(Path) of
      false -> case filelib:is_regular(Path) of true -> there; false -> none end;
      {ok, <<31, 139, _/binary>> = Zipped} -> code:module_md5(zlib:gunzip(Zipped));
      {ok, Bin} -> code:module_md5(Bin);
      {error, _} -> none
    end
  end,
  Loaded = fun(Module) ->
    case erlang:module_loaded(Module) of true -> erlang:get_module_info(Module, md5); false -> none end
  end,
  Consolidated = filename:join(Folder, "consolidated"),
  Protocols = [{list_to_atom(filename:basename(File, ".beam")), File}
               || File <- filelib:wildcard(filename:join(Consolidated, "*.beam"))],
  Ebin = fun(App, Vsn) ->
    Name = lists:concat([App, "-", Vsn]),
    Own = filename:join([Root, "lib", Name]),
    case {filelib:is_dir(Own), code:lib_dir(App)} of
      {false, Dir} when is_list(Dir) ->
        case filename:basename(Dir) =:= Name of true -> filename:join(Dir, "ebin"); false -> filename:join(Own, "ebin") end;
      _ -> filename:join(Own, "ebin")
    end
  end,
  Modules = fun(Library) ->
    App = element(1, Library),
    Dir = Ebin(App, element(2, Library)),
    case file:consult(filename:join(Dir, lists:concat([App, ".app"]))) of
      {ok, [{application, App, Keys}]} ->
        [case lists:keyfind(Module, 1, Protocols) of
           {Module, Path} -> {Module, App, Path};
           false -> {Module, App, filename:join(Dir, lists:concat([Module, ".beam"]))}
         end || Module <- proplists:get_value(modules, Keys, [])];
      _ -> throw({error, {no_app_file, App}})
    end
  end,
  Ask = fun({Module, App, Path}) ->
    {Module, App, unicode:characters_to_binary(Path), Md5(Path), Loaded(Module)}
  end,
  Text = fun(Path) -> unicode:characters_to_binary(Path) end,
  case Rels ++ Known of
    [] -> {error, no_rel_file};
    [Libraries | _] ->
      case catch lists:append(lists:map(Modules, Libraries)) of
        {error, Reason} -> {error, Reason};
        All ->
          {lists:map(Ask, All), case Protocols of [] -> none; _ -> Text(Consolidated) end,
           [Text(Path) || Path <- code:get_path(), is_list(Path), filename:basename(Path) =:= "consolidated"]}
      end
  end.
