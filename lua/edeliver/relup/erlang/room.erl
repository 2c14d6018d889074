%% What there is room and right for on this node: `{Free, Forbidden}`, the bytes that are free below Root, or `unknown`, and those of
%% Paths, files and folders, that are there and that this node may not write.
-module(room).
-export([run/2]).

run(Root, Paths) ->
  Quoted = ["'", string:replace(Root, "'", "'\\''", all), "'"],
  %% POSIX: one line a file system, the fourth column is what is available.
  Lines = string:lexemes(os:cmd(lists:flatten(["LC_ALL=C df -Pk ", Quoted, " 2>/dev/null"])), "\n"),
  Free = try
    [_, Line | _] = Lines,
    list_to_integer(lists:nth(4, string:lexemes(Line, " "))) * 1024
  catch _:_ -> unknown
  end,
  Forbidden = [unicode:characters_to_binary(Path) || Path <- Paths, {ok, Info} <- [file:read_file_info(Path)],
               not lists:member(element(4, Info), [write, read_write])],
  {Free, Forbidden}.
