%% Gives a fun that resolves the configuration of the release Version below Root, as its next start would have it: what its .app
%% files say, then its sys.config, then the command line, then what its config providers make of it.
%%
%% The fun's arguments are Call, which makes a call where providers are to run, `fun(M, F, A, Timeout)`, and Where: next_vm, a VM of that
%% release, which gets the values, too; node, the one that runs; files, where no provider is
%% asked; or `{given, Values}`, of next_vm, where others have asked before. `{ok, #{Application => #{Key => Value}}, Problems, Config}`, where each
%% Problem keeps the release from starting: `{compile_env, App, Path}` (the value is another than when it was compiled),
%% `{reserved, App}` (providers
%% configure what runs already), and Config is what sys.config and providers say of it, as sys.config has it; or `{error, {provider, Module, Text}}`, `{error, {sys_config, Reason}}`.
-module(resolve_configuration).
-export([run/4]).
-parts([start_environment]).

run(Patience, Root, Version, StartEnvironment) ->
  Folder = filename:join([Root, "releases", Version]),
  Over = fun(Env, List) -> maps:merge(Env, maps:from_list(List)) end,
  Overlay = fun(Config, Envs) ->
    lists:foldl(fun({App, Env}, Sofar) -> Sofar#{App => Over(maps:get(App, Sofar, #{}), Env)} end, Envs, Config)
  end,
  %% A sys.config may name other files.
  Flat = fun Flat(Config) ->
    lists:append([case Each of
      {App, Env} when is_atom(App), is_list(Env) -> [Each];
      _ ->
        {ok, [More]} = file:consult(filename:join(filename:dirname(Each), filename:basename(Each, ".config") ++ ".config")),
        Flat(More)
    end || Each <- Config])
  end,
  #{specs := Specs, term := Term, command_line := FromCommandLine} = StartEnvironment,
  Text = fun(Value) -> unicode:characters_to_binary(io_lib:format("~0tP", [Value, 20])) end,
  Banner = fun(Call, Class, Reason, Stack) ->
    try Call('Elixir.Exception', format_banner, [Class, Reason, Stack], 5000) catch _:_ -> Text(Reason) end
  end,
  Provide = fun(Call, Provider, State, Sofar) ->
    Late = Text({no_answer, Patience, milliseconds}),
    try Call(Provider, load, [Sofar, State], Patience) of
      Config when is_list(Config) -> Config;
      _ -> throw({provider, Provider, <<"it gives no list">>})
    catch
      exit:timeout -> throw({provider, Provider, Late});
      exit:{timeout, _} -> throw({provider, Provider, Late});
      Class:Reason:Stack -> throw({provider, Provider, Banner(Call, Class, Reason, Stack)})
    end
  end,
  %% As Elixir's Access finds it.
  Find = fun Find(Found, []) -> Found;
             Find({ok, Value}, [Key | Path]) when is_map(Value) -> Find(maps:find(Key, Value), Path);
             Find({ok, Value}, [Key | Path]) when is_list(Value) ->
               Find(case lists:keyfind(Key, 1, Value) of {_, Inner} -> {ok, Inner}; _ -> error end, Path);
             Find(_, _) -> error
  end,
  Differs = fun(Envs, App, [Key | Path], Compiled) ->
    is_map_key(App, Envs) andalso Find(maps:find(Key, maps:get(App, Envs)), Path) =/= Compiled
  end,
  Values = fun(Envs) -> [{App, maps:to_list(Env)} || {App, Env} <- maps:to_list(Envs)] end,
  Run = fun(Call, Loaded, Sys, Files, #{providers := Providers} = Init) ->
    {ok, _} = Call(application, ensure_all_started, [elixir], 30000),
    Base = Call('Elixir.Config.Reader', merge, [Sys, maps:get(extra_config, Init, [])], 30000),
    Config = lists:foldl(fun({Provider, State}, Sofar) -> Provide(Call, Provider, State, Sofar) end, Base, Providers),
    Envs = Overlay(Config, Files),
    Reserved = [{reserved, App} || maps:get(reboot_system_after_config, Init, true) =/= true, App <- [kernel, stdlib],
                 lists:sort(proplists:get_value(App, Config, [])) =/= lists:sort(proplists:get_value(App, Sys, []))],
    %% Where Elixir restarts the node, it writes them into a file, and reads that.
    Unwritable = [{unwritable, App, Key} || maps:get(reboot_system_after_config, Init, true) =:= true, {App, Env} <- Config,
                   {Key, Value} <- Env, Term(unicode:characters_to_list(io_lib:format("~tw", [Value]))) =:= []],
    Compiled = case maps:get(validate_compile_env, Init, false) of List when is_list(List) -> List; _ -> [] end,
    {ok, Envs, Reserved ++ Unwritable ++ [{compile_env, App, Path} || {App, Path, Value} <- Compiled, lists:keymember(App, 2, Loaded),
                              Differs(Envs, App, Path, Value)], Config}
  end,
  %% Providers find what a start would have given them, and who is asked next finds what they gave.
  InVm = fun(Call, Loaded, Files, Resolve) ->
    _ = Call(lists, map, [fun application:load/1, Loaded], 30000),
    ok = Call(application, set_env, [Values(Files)], 30000),
    {ok, Envs, _, _} = Resolved = Resolve(),
    ok = Call(application, set_env, [Values(Envs)], 30000),
    Resolved
  end,
  fun(Call, Where) ->
    try
      Sys = case file:consult(filename:join(Folder, "sys.config")) of
        {ok, [Config]} -> Flat(Config);
        {error, enoent} -> [];
        Other -> throw({sys_config, Other})
      end,
      {ok, Boot} = file:read_file(filename:join(Folder, "start.boot")),
      Loaded = Specs(Boot),
      Said = Overlay(Sys, maps:from_list([{App, maps:from_list(proplists:get_value(env, Keys, []))} || {application, App, Keys} <- Loaded])),
      Files = maps:map(fun(App, Env) -> Over(Env, FromCommandLine(App)) end, Said),
      Resolve = fun() ->
        case maps:find(config_provider_init, maps:get(elixir, Files, #{})) of
          {ok, #{providers := _} = Init} when Where =/= files -> Run(Call, Loaded, Sys, Files, Init);
          _ -> {ok, Files, [], Sys}
        end
      end,
      case Where of
        next_vm -> InVm(Call, Loaded, Files, Resolve);
        {given, Given} -> InVm(Call, Loaded, Files, fun() -> {ok, Given, [], Sys} end);
        _ -> Resolve()
      end
    catch
      throw:Reason -> {error, Reason};
      Class:Reason -> {error, {Class, Reason}}
    end
  end.
