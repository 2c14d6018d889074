%% The bytes of these files below Root, `{Path, Bytes}` each, or `{Path, {error, Reason}}`.
-module(read_files).
-export([run/2]).

run(Root, Paths) ->
  Read = fun(Path) ->
    case file:read_file(filename:join(Root, Path)) of
      {ok, Bytes} -> {Path, Bytes};
      Error -> {Path, Error}
    end
  end,
  lists:map(Read, Paths).
