%% Where the code of releases lies, as release_handler knows it: #{folder => fun(App, Version), file => fun(Module, App, Version)
%% (without its extension), beam => fun(Path) (its bytes, or it throws {error, {no_such_file, Path}}), single => fun(All) (a vsn
%% attribute as release_handler hands it to code_change)}.
-module(release_files).
-export([run/0]).

run() ->
  Releases = case {application:get_env(sasl, releases_dir), os:getenv("RELDIR")} of
    {{ok, Set}, _} -> Set;
    {undefined, false} -> filename:join(code:root_dir(), "releases");
    {undefined, Set} -> Set
  end,
  Libraries = case file:consult(filename:join(Releases, "RELEASES")) of
    {ok, [Known]} -> maps:from_list([{{App0, V0}, Dir} || {release, _, _, _, Libs, _} <- Known, {App0, V0, Dir} <- Libs]);
    _ -> #{}
  end,
  Folder = fun(App, Version) ->
    Default = filename:join("lib", lists:concat([App, "-", Version])),
    filename:join([code:root_dir(), maps:get({App, Version}, Libraries, Default), "ebin"])
  end,
  #{
    folder => Folder,
    file => fun(Module, App, Version) -> filename:join(Folder(App, Version), atom_to_list(Module)) end,
    beam => fun(Path) ->
      case erl_prim_loader:get_file(Path) of
        {ok, <<31, 139, _/binary>> = Zipped, _} -> zlib:gunzip(Zipped);
        {ok, Bytes, _} -> Bytes;
        error -> throw({error, {no_such_file, Path}})
      end
    end,
    single => fun([One] = All) -> case misc_supp:is_string(All) of true -> All; false -> One end; (All) -> All end
  }.
