%% Has release_handler forget a release that it was told of, and takes its relup back: ok | {error, Reason}. Forget says whether it is to
%% forget it; Before is what became of the relup (none: there was none before; kept: it is relup.before; unchanged). Made says that
%% RELEASES was made for it: then that file goes, too. Deletes nothing else.
-module(unregister_release).
-export([run/5]).

run(Before, Folder, Forget, Made, Version) ->
  Path = fun(Name) -> filename:join([Folder, Version, Name]) end,
  Known = lists:keyfind(Version, 2, release_handler:which_releases()),
  Forgotten = case Forget andalso Known of
    false -> ok;
    _ -> release_handler:set_removed(Version)
  end,
  Back = case Before of
    unchanged -> ok;
    none -> case file:delete(Path("relup")) of {error, enoent} -> ok; Deleted -> Deleted end;
    kept -> file:rename(Path("relup.before"), Path("relup"))
  end,
  case {Forgotten, Back} of
    {ok, ok} when Made -> file:delete(filename:join(Folder, "RELEASES"));
    {ok, Other} -> Other;
    {Other, _} -> Other
  end.
