%% `{Path, Size, Md5}` of every file below the priv folders of these libraries; paths begin below Root. Links are not followed.
-module(file_digests).
-export([run/2]).

run(Root, Libraries) ->
  Read = fun(Path) ->
    case file:read_file(filename:join(Root, Path)) of
      {ok, Bin} -> [{unicode:characters_to_binary(Path), byte_size(Bin), erlang:md5(Bin)}];
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
  lists:append([Walk("lib/" ++ Library ++ "/priv") || Library <- Libraries]).
