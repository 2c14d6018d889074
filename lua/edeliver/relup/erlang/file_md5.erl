%% The MD5 sum of a file.
-module(file_md5).
-export([run/1]).

run(Path) ->
  {ok, File} = file:open(Path, [read, raw, binary]),
  Loop = fun Loop(So) ->
    case file:read(File, 1048576) of
      {ok, Data} -> Loop(erlang:md5_update(So, Data));
      eof -> erlang:md5_final(So)
    end
  end,
  Sum = Loop(erlang:md5_init()),
  ok = file:close(File),
  Sum.
