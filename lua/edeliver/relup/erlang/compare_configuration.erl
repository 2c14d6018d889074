%% What an install makes of the environment that runs: `{Lost, Reset, Gone}`, each `{Count, [{Application, Key}]}` with the first of
%% them.
%%
%% Lost are keys that the new release's own configuration does not have, Reset those that it has with another value; in both only what
%% was set while the node ran: a value that the old release's files give as well changes because the new release says so. Gone are
%% keys of the old release's files that the new one's do not have. Values stay here. Config is the new sys.config, Boot the new start.boot, Old the old release's folder.
-module(compare_configuration).
-export([run/4]).
-parts([start_environment]).

run(Config, Boot, Old, StartEnvironment) ->
  Merge = fun(Env, Over) -> maps:merge(maps:from_list(Env), maps:from_list(Over)) end,
  FromFiles = fun FromFiles([], Sofar) -> Sofar;
                  FromFiles([{App, Env} | Rest], Sofar) ->
                    FromFiles(Rest, Sofar#{App => Merge(maps:to_list(maps:get(App, Sofar, #{})), Env)});
                  FromFiles([File | Rest], Sofar) ->
    Name = filename:join(filename:dirname(File), filename:basename(File, ".config") ++ ".config"),
    case file:consult(Name) of {ok, [Envs]} -> FromFiles(Envs ++ Rest, Sofar); _ -> FromFiles(Rest, Sofar) end
  end,
  #{specs := Specs, command_line := FromCommandLine} = StartEnvironment,
  FromBoot = fun(Binary) -> maps:from_list([{App, proplists:get_value(env, Keys, [])} || {application, App, Keys} <- Specs(Binary)]) end,
  Says = fun(Conf, Script) ->
    try
      Files = FromFiles(Conf, #{}),
      maps:map(fun(App, Env) ->
        maps:merge(Merge(Env, maps:to_list(maps:get(App, Files, #{}))), maps:from_list(FromCommandLine(App)))
      end, FromBoot(Script))
    catch _:_ -> #{}
    end
  end,
  New = Says(Config, Boot),
  Before = case {file:consult(filename:join(Old, "sys.config")), file:read_file(filename:join(Old, "start.boot"))} of
    {{ok, [OldConfig]}, {ok, OldBoot}} -> Says(OldConfig, OldBoot);
    {_, {ok, OldBoot}} -> Says([], OldBoot);
    _ -> #{}
  end,
  %% kernel sets these by itself on every node, and nobody misses them after an install.
  Own = [{kernel, connect_all}, {kernel, logger}],
  Running = [{App, Key, Value} || {App, _, _} <- application:loaded_applications(), is_map_key(App, New),
             {Key, Value} <- application:get_all_env(App), Key =/= included_applications, not lists:member({App, Key}, Own)],
  Same = fun(Sides, App, Key, Value) -> case Sides of #{App := #{Key := Value}} -> true; _ -> false end end,
  Set = [{App, Key} || {App, Key, Value} <- Running, not Same(New, App, Key, Value), not Same(Before, App, Key, Value)],
  {Reset, Lost} = lists:partition(fun({App, Key}) -> is_map_key(Key, map_get(App, New)) end, Set),
  First = fun(List) -> {length(List), lists:sublist(lists:sort(List), 8)} end,
  Gone = [{App, Key} || {App, Key, Value} <- Running, Same(Before, App, Key, Value), not is_map_key(Key, map_get(App, New))],
  {First(Lost), First(Reset), First(Gone)}.
