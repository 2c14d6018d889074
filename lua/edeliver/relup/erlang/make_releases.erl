%% Makes the file RELEASES of a node that was started without it, so that its release_handler knows the libraries of the release that
%% runs, and starts release_handler again, which reads that file: ok, or `{no, Reason}` where it can't be done. With Make = false it is
%% only found out whether it can. Nothing is lost by the start: it knows nothing but the one release.
-module(make_releases).
-export([run/3]).

run(Folder, Version, Make) ->
  Root = code:root_dir(),
  IsRel = fun(File) ->
    case file:consult(File) of
      {ok, [{release, {_, Version}, {erts, _}, Libraries}]} ->
        lists:all(fun(Library) ->
          Name = lists:concat([element(1, Library), "-", element(2, Library)]),
          filelib:is_dir(filename:join([Root, "lib", Name]))
        end, Libraries);
      _ -> false
    end
  end,
  Rels = filelib:wildcard(filename:join([Folder, Version, "*.rel"])) ++ filelib:wildcard(filename:join(Folder, "*.rel")),
  case {filelib:is_file(filename:join(Folder, "RELEASES")), lists:filter(IsRel, Rels)} of
    {true, _} -> {no, unreadable};
    {false, []} -> {no, no_rel_file};
    {false, _} when not Make -> ok;
    {false, [Rel | _]} ->
      case release_handler:create_RELEASES("", Folder, Rel, []) of
        ok ->
          ok = supervisor:terminate_child(sasl_sup, release_handler),
          {ok, _} = supervisor:restart_child(sasl_sup, release_handler),
          ok;
        {error, Reason} -> {no, Reason}
      end
  end.
