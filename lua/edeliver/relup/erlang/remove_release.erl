%% Takes a release that does not run from the disk: has release_handler forget it, deletes its libraries that nothing else here uses,
%% and its folder last, so that what was cut off can be done again. `{ok, Deleted}`, names of folders below Root, or
%% `{error, Reason}`. A library stays that another release that release_handler knows names, another .rel file below releases/,
%% the code path, or an application that is loaded: release_handler's own remove_release would delete libraries that run where it
%% does not know whose they are. With Really = false it only says what would go.
-module(remove_release).
-export([run/3]).

run(Folder, Really, Version) ->
  Root = code:root_dir(),
  Own = filename:join(Folder, Version),
  Binary = fun(Path) -> unicode:characters_to_binary(Path) end,
  Listed = fun(Rel) ->
    case file:consult(Rel) of
      {ok, [{release, {_, _}, {erts, _}, Libs}]} -> [lists:concat([element(1, L), "-", element(2, L)]) || L <- Libs];
      _ -> []
    end
  end,
  Rels = filelib:wildcard(filename:join(Folder, "*/*.rel")) ++ filelib:wildcard(filename:join(Folder, "*.rel")),
  Known = release_handler:which_releases(),
  %% The .rel beside the releases' folders may be of this version.
  OfVersion = fun(Rel) ->
    filename:dirname(Rel) =:= Own orelse case file:consult(Rel) of
      {ok, [{release, {_, Version}, _, _}]} -> filename:dirname(Rel) =:= Folder;
      _ -> false
    end
  end,
  {Mine, Others} = lists:partition(OfVersion, Rels),
  Has = case lists:keyfind(Version, 2, Known) of
    {_, _, [_ | _] = Libs, _} -> Libs;
    _ -> []
  end ++ lists:append(lists:map(Listed, Mine)),
  Named = lists:append([Libs || {_, V, Libs, _} <- Known, V =/= Version]) ++ lists:append(lists:map(Listed, Others)),
  Real = fun(Path) -> [filename:basename(filename:dirname(Path)), filename:basename(Path)] end,
  Loaded = [Real(Dir) || {App, _, _} <- application:loaded_applications(), Dir <- [code:lib_dir(App)], is_list(Dir)]
    ++ [Real(filename:dirname(Path)) || Path <- code:get_path(), filename:basename(Path) =:= "ebin"],
  Unused = [Name || Name <- lists:usort(Has), not lists:member(Name, Named), not lists:member(["lib", Name], Loaded),
                    filename:basename(Name) =:= Name, Name =/= "..", filelib:is_dir(filename:join([Root, "lib", Name]))],
  Status = case lists:keyfind(Version, 2, Known) of {_, _, _, S} -> S; false -> none end,
  {_, Booted} = init:script_id(),
  Runs = lists:any(fun(Path) -> lists:suffix([Version, "consolidated"], filename:split(Path)) end, code:get_path()),
  %% What a sending has left that was cut off; none is active then.
  Cut = [{Top, Name} || whereis(edeliver_relup_ship) =:= undefined,
                        {Top, In} <- [{"lib", filename:join(Root, "lib")}, {"releases", Folder}], Name <- filelib:wildcard(".ship-*", In)],
  Delete = fun() ->
    Forgotten = case Status of none -> ok; _ -> release_handler:set_removed(Version) end,
    Paths = [filename:join([Root, "lib", Name]) || Name <- Unused ++ [Name || {"lib", Name} <- Cut]]
      ++ [filename:join(Folder, Name) || {"releases", Name} <- Cut] ++ [Own],
    case Forgotten of
      ok ->
        case [{Path, Reason} || Path <- Paths, {error, Reason} <- [file:del_dir_r(Path)], Reason =/= enoent] of
          [] -> _ = [file:delete(Rel) || Rel <- Mine, filename:dirname(Rel) =:= Folder], ok;
          [{Path, Reason} | _] -> {error, {Reason, Binary(Path)}}
        end;
      Error -> Error
    end
  end,
  Folders = [Binary("lib/" ++ Name) || Name <- Unused] ++ [Binary(Top ++ "/" ++ Name) || {Top, Name} <- Cut]
    ++ [Binary("releases/" ++ Version) || filelib:is_dir(Own)],
  if
    Status =:= permanent; Status =:= current; Status =:= tmp_current -> {error, {Status, Binary(Version)}};
    Status =:= none, Booted =:= Version; Runs -> {error, {runs, Binary(Version)}};
    Status =:= none, Folders =:= [] -> {error, {no_such_release, Binary(Version)}};
    not Really -> {ok, Folders};
    true -> case Delete() of ok -> {ok, Folders}; Error -> Error end
  end.
