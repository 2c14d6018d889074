%% Keeps the digested static files of the release From reachable in the release To, which lies on the node already: pages that are
%% open still ask for them. Gives `{Bytes, [Path]}`: what was put there.
%%
%% Which files those are says each application's priv/static/cache_manifest.json; they are linked, or copied where that cannot be,
%% and one that is there is left alone. Applications whose folder both releases share need nothing. Releases is the folder of releases.
-module(carry_static_files).
-export([run/3]).

run(From, Releases, To) ->
  Known = case file:consult(filename:join(Releases, "RELEASES")) of {ok, [List]} -> List; _ -> [] end,
  Folders = fun(Version) -> lists:append([[{App, Dir} || {App, _, Dir} <- Libs] || {release, _, V, _, Libs, _} <- Known, V =:= Version]) end,
  Root = filename:dirname(Releases),
  Static = fun(Dir) -> filename:join([filename:absname(Dir, Root), "priv", "static"]) end,
  New = Folders(To),
  Pairs = [{Static(Dir), Static(NewDir)} || {App, Dir} <- Folders(From), {App1, NewDir} <- New, App =:= App1, Dir =/= NewDir],
  %% Names that end below priv/static, and nowhere else.
  IsBelow = fun(Name) -> filename:pathtype(Name) =:= relative andalso not lists:member("..", filename:split(Name)) end,
  Digested = fun(Folder) ->
    case file:read_file(filename:join(Folder, "cache_manifest.json")) of
      {ok, Text} ->
        case re:run(Text, <<"\"([^\"\\\\]{1,500}-[0-9a-f]{32}(?:\\.[^\"\\\\/]{1,100})?)\"">>, [global, {capture, all_but_first, list}]) of
          {match, Found} -> lists:filter(IsBelow, lists:usort(lists:append(Found)));
          nomatch -> []
        end;
      _ -> []
    end
  end,
  Carry = fun(Source, Target) ->
    case filelib:is_regular(Source) andalso not filelib:is_file(Target) andalso ok =:= filelib:ensure_dir(Target) of
      false -> [];
      true ->
        case file:make_link(Source, Target) of
          ok -> [{0, Target}];
          _ -> case file:copy(Source, Target) of {ok, Bytes} -> [{Bytes, Target}]; _ -> file:delete(Target), [] end
        end
    end
  end,
  Carried = [Done || {Old, Next} <- Pairs, filelib:is_dir(Next), Name <- Digested(Old), Ending <- ["", ".gz", ".br", ".zst"],
                     Done <- Carry(filename:join(Old, Name ++ Ending), filename:join(Next, Name ++ Ending))],
  {lists:sum([Bytes || {Bytes, _} <- Carried]), [unicode:characters_to_binary(Path) || {_, Path} <- Carried]}.
