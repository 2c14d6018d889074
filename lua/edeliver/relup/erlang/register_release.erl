%% Makes a release that lies below Root known to release_handler, with its relup: `{ok, How, Before}`, where How is what
%% release_handler did not know of it (added: all; replaced: these libraries; known: nothing), and Before whether it had a relup, which
%% is relup.before now (kept | none); or `{error, Reason}`, and then nothing has changed. The relup is written beside and renamed, and
%% has mode and owner of the .rel file. Without a Relup (none) it stays as it is. Where unpack_release has deleted the .rel file, it is
%% put back first, as RelText, and stays.
-module(register_release).
-export([run/5]).

run(Folder, Rel, RelText, Relup, Version) ->
  Root = code:root_dir(),
  Path = fun(Name) -> filename:join([Folder, Version, Name]) end,
  Place = fun({App, Vsn}) -> filename:join([Root, "lib", lists:concat([App, "-", Vsn])]) end,
  Library = fun(Listed) -> {element(1, Listed), element(2, Listed)} end,
  Beside = fun(Name, Bytes, Like) ->
    {ok, Info} = file:read_file_info(Path(Like)),
    {ok, File} = file:open(Path(Name ++ ".new"), [write, raw, binary]),
    try ok = file:write(File, Bytes), ok = file:sync(File) after file:close(File) end,
    ok = file:change_mode(Path(Name ++ ".new"), element(8, Info) band 8#777),
    _ = file:change_owner(Path(Name ++ ".new"), element(13, Info), element(14, Info)),
    ok
  end,
  Rename = fun(Name) -> ok = file:rename(Path(Name ++ ".new"), Path(Name)) end,
  Put = fun() ->
    Beside("relup", Relup, Rel),
    Before = case file:copy(Path("relup"), Path("relup.before")) of {ok, _} -> kept; {error, enoent} -> none end,
    Rename("relup"),
    Before
  end,
  Forget = fun() -> lists:foreach(fun(Name) -> file:delete(Path(Name ++ ".new")) end, ["relup", Rel]) end,
  Write = fun() -> case Relup of none -> none; _ -> Put() end end,
  Add = fun() -> {ok, Version} = release_handler:set_unpacked(Path(Rel), []), ok end,
  Known = fun() -> lists:keyfind(Version, 2, release_handler:which_releases()) end,
  %% The permanent release need not be the one that runs.
  Another = fun() -> lists:any(fun({_, _, _, Has}) -> lists:member(Has, [current, tmp_current]) end, release_handler:which_releases()) end,
  try
    filelib:is_regular(Path(Rel)) orelse begin Beside(Rel, RelText, "start.boot"), Rename(Rel) end,
    {ok, [{release, {_, Version}, {erts, _}, Listed}]} = file:consult(Path(Rel)),
    Libraries = lists:map(Library, Listed),
    [] = [{missing, Place(L)} || L <- Libraries, not filelib:is_dir(Place(L))],
    Names = lists:sort([lists:concat([App, "-", Vsn]) || {App, Vsn} <- Libraries]),
    case Known() of
      false -> Before = Write(), Add(), {ok, added, Before};
      {_, _, Has, Status} ->
        case {lists:sort(Has) =:= Names, lists:member(Status, [unpacked, old])} of
          {false, true} -> Before = Write(), ok = release_handler:set_removed(Version), Add(), {ok, replaced, Before};
          {Same, Free} ->
            case Free orelse Same andalso Status =:= permanent andalso Another() of
              true -> {ok, known, Write()};
              false -> {error, {Status, Version}}
            end
        end
    end
  catch
    error:{badmatch, {error, Reason}} -> Forget(), {error, Reason};
    error:{badmatch, Reason} -> Forget(), {error, Reason}
  end.
