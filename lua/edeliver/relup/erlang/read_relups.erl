%% The relups of these versions, from the folder where release_handler reads them: `{Path, Text}` each, `{Path, Size}` for one with
%% more than so many bytes, or `{error, Reason}`.
-module(read_relups).
-export([run/2]).

run(Versions, Most) ->
  Folder = case {application:get_env(sasl, releases_dir), os:getenv("RELDIR")} of
    {{ok, Configured}, _} -> Configured;
    {undefined, false} -> filename:join(code:root_dir(), "releases");
    {undefined, Set} -> Set
  end,
  Read = fun(Version) ->
    Path = filename:join([Folder, Version, "relup"]),
    case {filelib:file_size(Path), unicode:characters_to_binary(Path)} of
      {Size, Name} when Size > Most -> {Name, Size};
      {_, Name} ->
        case file:read_file(Path) of
          {ok, Text} -> {Name, Text};
          {error, Reason} -> {error, Reason}
        end
    end
  end,
  lists:map(Read, Versions).
