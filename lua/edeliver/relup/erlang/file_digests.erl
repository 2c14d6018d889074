%% `{Path, Size, Md5}` of every file below these folders; paths begin below Root. Links are not followed.
-module(file_digests).
-export([run/2]).

run(Root, Folders) ->
  %% OpenSSL is several times as quick, where the node has it.
  {Init, Add, Final} = try true = erlang:module_loaded(crypto), _ = crypto:hash(md5, <<>>), crypto of
    crypto -> {fun() -> crypto:hash_init(md5) end, fun crypto:hash_update/2, fun crypto:hash_final/1}
  catch _:_ -> {fun erlang:md5_init/0, fun erlang:md5_update/2, fun erlang:md5_final/1}
  end,
  Loop = fun Loop(File, Size, So) ->
    case file:read(File, 1048576) of
      {ok, Bin} -> Loop(File, Size + byte_size(Bin), Add(So, Bin));
      _ -> {Size, Final(So)}
    end
  end,
  Read = fun(Path) ->
    case file:open(filename:join(Root, Path), [read, raw, binary]) of
      {ok, File} ->
        {Size, Md5} = Loop(File, 0, Init()),
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
