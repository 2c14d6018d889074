%% `{Path, Size, Md5}` of every file below these folders; paths begin below Root. Links are not followed.
-module(file_digests).
-export([run/2]).

run(Root, Folders) ->
  Loop = fun Loop(File, Size, So) ->
    case file:read(File, 1048576) of
      {ok, Bin} -> Loop(File, Size + byte_size(Bin), erlang:md5_update(So, Bin));
      _ -> {Size, erlang:md5_final(So)}
    end
  end,
  Read = fun(Path) ->
    case file:open(filename:join(Root, Path), [read, raw, binary]) of
      {ok, File} ->
        {Size, Md5} = Loop(File, 0, erlang:md5_init()),
        _ = file:close(File),
        [{unicode:characters_to_binary(Path), Size, Md5}];
      {error, _} -> []
    end
  end,
  Walk = fun Walk(Path) ->
    Full = filename:join(Root, Path),
    case file:read_link(Full) of
      {ok, _} -> [];
      {error, _} ->
        case file:list_dir(Full) of
          {ok, Names} -> lists:append([Walk(Path ++ "/" ++ Name) || Name <- lists:sort(Names)]);
          {error, enotdir} -> Read(Path);
          {error, _} -> []
        end
    end
  end,
  lists:append(lists:map(Walk, Folders)).
