%% Makes a release that lies below Root known to release_handler, with its relup: `{ok, How, Before}`, where How is what
%% release_handler did not know of it (added: all; replaced: these libraries; known: nothing), and Before whether it had a relup, which
%% is relup.before now (kept | none); or `{error, Reason}`, and then nothing has changed. The relup is written beside and renamed, and
%% has mode and owner of the .rel file. Without a Relup (none) it stays as it is.
-module(register_release).
-export([run/4]).

run(Folder, Rel, Relup, Version) ->
  Root = code:root_dir(),
  Path = fun(Name) -> filename:join([Folder, Version, Name]) end,
  Place = fun({App, Vsn}) -> filename:join([Root, "lib", lists:concat([App, "-", Vsn])]) end,
  Library = fun(Listed) -> {element(1, Listed), element(2, Listed)} end,
  Put = fun() ->
    {ok, Info} = file:read_file_info(Path(Rel)),
    {ok, File} = file:open(Path("relup.new"), [write, raw, binary]),
    try ok = file:write(File, Relup), ok = file:sync(File) after file:close(File) end,
    ok = file:change_mode(Path("relup.new"), element(8, Info) band 8#777),
    _ = file:change_owner(Path("relup.new"), element(13, Info), element(14, Info)),
    Before = case file:copy(Path("relup"), Path("relup.before")) of {ok, _} -> kept; {error, enoent} -> none end,
    ok = file:rename(Path("relup.new"), Path("relup")),
    Before
  end,
  Write = fun() -> case Relup of none -> none; _ -> Put() end end,
  Add = fun() -> {ok, Version} = release_handler:set_unpacked(Path(Rel), []), ok end,
  Known = fun() -> lists:keyfind(Version, 2, release_handler:which_releases()) end,
  try
    {ok, [{release, {_, Version}, {erts, _}, Listed}]} = file:consult(Path(Rel)),
    Libraries = lists:map(Library, Listed),
    [] = [{missing, Place(L)} || L <- Libraries, not filelib:is_dir(Place(L))],
    Names = lists:sort([lists:concat([App, "-", Vsn]) || {App, Vsn} <- Libraries]),
    case Known() of
      false -> Before = Write(), Add(), {ok, added, Before};
      {_, _, _, Status} when Status =/= unpacked, Status =/= old -> {error, {Status, Version}};
      {_, _, Has, _} ->
        Before = Write(),
        case lists:sort(Has) of
          Names -> {ok, known, Before};
          _ -> ok = release_handler:set_removed(Version), Add(), {ok, replaced, Before}
        end
    end
  catch
    error:{badmatch, {error, Reason}} -> _ = file:delete(Path("relup.new")), {error, Reason};
    error:{badmatch, Reason} -> _ = file:delete(Path("relup.new")), {error, Reason}
  end.
