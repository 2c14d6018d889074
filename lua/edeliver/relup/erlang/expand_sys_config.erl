%% Makes the sys.config of the release Version below Root where it has only a sys.config.src, as the start script of relx does: `${NAME}` and
%% `${NAME:-otherwise}` become what the node's environment has. release_handler reads no other file. `{ok, Path}` of what was written,
%% none where there is nothing to do, or `{error, Reason}`.
-module(expand_sys_config).
-export([run/2]).

run(Root, Version) ->
  Path = filename:join([Root, "releases", Version, "sys.config"]),
  Value = fun(Name) ->
    {Variable, Otherwise} = case binary:split(Name, <<":-">>) of [Alone] -> {Alone, <<>>}; [Before, After] -> {Before, After} end,
    case os:getenv(unicode:characters_to_list(Variable)) of
      Set when is_list(Set), Set =/= "" -> unicode:characters_to_binary(Set);
      _ -> Otherwise
    end
  end,
  Expand = fun Expand(Text) ->
    case binary:split(Text, <<"${">>) of
      [Before, Rest] ->
        case binary:split(Rest, <<"}">>) of
          [Name, After] -> <<Before/binary, (Value(Name))/binary, (Expand(After))/binary>>;
          [_] -> Text
        end;
      [Text] -> Text
    end
  end,
  Write = fun(Text) ->
    Terms = try
      {ok, Tokens, _} = erl_scan:string(unicode:characters_to_list(Text)),
      erl_parse:parse_term(Tokens)
    catch error:Reason -> {error, Reason}
    end,
    case Terms of
      {ok, List} when is_list(List) ->
        New = Path ++ ".new",
        case file:write_file(New, Text) of
          ok -> _ = file:change_mode(New, 8#600), case file:rename(New, Path) of ok -> {ok, unicode:characters_to_binary(Path)}; Other -> Other end;
          Other -> Other
        end;
      {ok, _} -> {error, no_list};
      Failed -> Failed
    end
  end,
  case {filelib:is_file(Path), file:read_file(Path ++ ".src")} of
    {false, {ok, Text}} -> Write(Expand(Text));
    _ -> none
  end.
