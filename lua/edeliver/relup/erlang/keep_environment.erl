%% Takes down what release_handler changes first of all, and does not put back when an install fails: environment and keys of all
%% loaded applications. A process of its own holds it, for values may be secrets, and may be funs: `edeliver_relup_environment`.
%%
%% It is asked settle or put_back, or loses the process Watched; either way it puts everything back if the node still runs the release
%% Before, and ends. Settle answers when that is done: `{ok, put_back | unchanged | installed}`. Put_back answers ok at once: release_handler
%% may wait for the one who asks, and has to answer first. Applications hear of it by their config_change, as they have
%% heard of the new environment.
-module(keep_environment).
-compile(nowarn_deprecated_catch).
-export([run/2]).

run(Watched, Before) ->
  Envs = fun() -> [{App, lists:sort(application:get_all_env(App))} || {App, _, _} <- application:loaded_applications()] end,
  Vsns = fun() -> lists:sort(application:loaded_applications()) end,
  Kept = Envs(),
  KeptVsns = Vsns(),
  Keys = [{application, App, All} || {App, _} <- Kept, {ok, All} <- [application:get_all_key(App)]],
  %% What sys.config says, which applications that will be loaded later still get.
  Config = try sys:get_state(application_controller) of
    State -> case element(tuple_size(State), State) of List when is_list(List) -> List; _ -> [] end
  catch _:_ -> []
  end,
  IsBefore = fun() ->
    Releases = release_handler:which_releases(),
    Running = case lists:keyfind(current, 4, Releases) of false -> lists:keyfind(permanent, 4, Releases); Current -> Current end,
    is_tuple(Running) andalso element(2, Running) =:= Before
  end,
  Restore = fun({App, Env}) ->
    Now = application:get_all_env(App),
    _ = [application:unset_env(App, Key, [{timeout, infinity}]) || {Key, _} <- Now, not lists:keymember(Key, 1, Env)],
    _ = [application:set_env(App, Key, Value, [{timeout, infinity}]) || {Key, Value} <- Env, lists:keyfind(Key, 1, Now) =/= {Key, Value}]
  end,
  PutBack = fun() ->
    case {Envs(), Vsns()} of
      {Kept, KeptVsns} -> unchanged;
      _ ->
        Changed = application_controller:prep_config_change(),
        ok = application_controller:change_application_data(Keys, Config),
        lists:foreach(Restore, Kept),
        _ = application_controller:config_change(Changed),
        put_back
    end
  end,
  Decide = fun() -> case IsBefore() of true -> PutBack(); false -> installed end end,
  Loop = fun Loop(Ref) ->
    receive
      {'$gen_call', From, settle} -> gen_server:reply(From, {ok, Decide()});
      {'$gen_call', From, put_back} -> gen_server:reply(From, ok), Decide();
      {'DOWN', Ref, process, _, _} -> Decide();
      _ -> Loop(Ref)
    end
  end,
  %% One that was left over knows an environment that is older.
  case whereis(edeliver_relup_environment) of undefined -> ok; Old -> exit(Old, kill) end,
  Asks = self(),
  {Keeper, Ref} = spawn_monitor(fun() ->
    group_leader(whereis(init), self()),
    Wait = fun Wait(0) -> exit(busy);
               Wait(Times) ->
      case catch register(edeliver_relup_environment, self()) of true -> ok; _ -> timer:sleep(20), Wait(Times - 1) end
    end,
    Wait(50),
    Asks ! {kept, self()},
    Loop(monitor(process, Watched))
  end),
  receive
    {kept, Keeper} -> demonitor(Ref, [flush]), ok;
    {'DOWN', Ref, process, Keeper, Reason} -> {error, Reason}
  end.
