%% Resolves what the applications are to be configured with after an install, merges it with what runs, and holds it on the node, in a
%% process of its own: values may be secrets, and may be funs. `{ok, Pid, Notes, Added, Removed, Changed}`, where the last three are
%% `[{Application, Key}]`, against what runs now; or `{error, Reason, Notes}`: as resolve_configuration.erl gives it, or `{problems, Problems}`.
%%
%% New and Old are each `{AskInVm, Resolve}`: the calls of next_vm.erl and of resolve_configuration.erl. Where there is no such VM,
%% the node's own code resolves, and Notes has `{new | old, Reason}`; where the old release cannot be resolved, what its files say
%% counts, and Notes has `{unresolved, Reason}`. With Keep, what runs stays: no provider is asked, and what the new
%% release's files say is only added to it.
%%
%% Merged three ways: what the release does not change stays as it runs, whoever has set it.
%%
%% The process, `edeliver_relup_configuration`, ends with Watched, and answers gen_server calls:
%%   set             from the relup: ok. Sets the values if it was told `arm` before; else it was only release_handler's check
%%   arm             ok
%%   verify          {Keys, [{Application, Key}]}: how many the release configures, and which have another value now
%%   merged          #{Application => #{Key => Value}}, for others on this node alone
%%   {values, Keys}  [{Application, Key, none | {ok, Before}, none | {ok, After}}]
%%   leave           ok
-module(hold_configuration).
-export([run/4]).

run(Keep, New, Old, Watched) ->
  Make = fun({M, F, A}) -> apply(M, F, A) end,
  %% On the node itself a provider that hangs must not keep us.
  Here = fun(M, F, A, Timeout) ->
    {Pid, Ref} = spawn_monitor(fun() -> exit({given, try {ok, apply(M, F, A)} catch Class:Reason:Stack -> {Class, Reason, Stack} end}) end),
    Late = erlang:start_timer(Timeout, self(), late),
    Given = receive
      {'DOWN', Ref, process, Pid, Exit} -> Exit;
      {timeout, Late, _} -> demonitor(Ref, [flush]), exit(Pid, kill), timeout
    end,
    _ = erlang:cancel_timer(Late),
    receive {timeout, Late, _} -> ok after 0 -> ok end,
    case Given of
      {given, {ok, Answer}} -> Answer;
      {given, {Class, Reason, Stack}} -> erlang:raise(Class, Reason, Stack);
      Other -> exit(Other)
    end
  end,
  Resolve = fun({_, Resolved}) when Keep -> {next_vm, (Make(Resolved))(Here, files)};
               ({Ask, Resolved}) ->
    case Make(Ask) of
      {ok, [Answer]} -> {next_vm, Answer};
      {error, Reason} -> {{no_vm, Reason}, (Make(Resolved))(Here, node)}
    end
  end,
  Own = [{elixir, config_provider_init}, {elixir, config_provider_booted}],
  EnvOf = fun(App) -> maps:from_list([{Key, Value} || {Key, Value} <- application:get_all_env(App), Key =/= included_applications]) end,
  IsKeyword = fun(List) ->
    try length(List) =:= length(lists:ukeysort(1, [Pair || {Key, _} = Pair <- List, is_atom(Key)])) catch error:_ -> false end
  end,
  %% Each side is {ok, Value}, or error where it has none.
  Merge = fun Merge(Now, Before, After) ->
    case {Now, Before, After} of
      {_, Same, Same} -> Now;
      {Same, Same, _} -> After;
      {{ok, N}, {ok, B}, {ok, A}} ->
        case lists:all(IsKeyword, [N, B, A]) of
          true ->
            Keys = [Key || {Key, _} <- A] ++ [Key || {Key, _} <- N, not lists:keymember(Key, 1, A)],
            In = fun(Key, List) -> case lists:keyfind(Key, 1, List) of {_, Value} -> {ok, Value}; false -> error end end,
            {ok, [{Key, Value} || Key <- Keys, {ok, Value} <- [Merge(In(Key, N), In(Key, B), In(Key, A))]]};
          false -> After
        end;
      %% Somebody has set it on the node, and the new release no longer speaks of it.
      {{ok, _}, _, error} -> Now;
      _ -> After
    end
  end,
  MergeEnvs = fun(Running, Same, Same) -> Running;
                 (Same, Same, After) -> After;
                 (Running, Before, After) ->
    Keys = lists:usort(lists:append([maps:keys(Env) || Env <- [Running, Before, After]])),
    maps:from_list([{Key, Value} || Key <- Keys,
      {ok, Value} <- [Merge(maps:find(Key, Running), maps:find(Key, Before), maps:find(Key, After))]])
  end,
  %% What the new release's providers need at its next start is not for the old one to keep.
  Init = fun(After, Envs) ->
    lists:foldl(fun({App, Key}, Sofar) ->
      case {Sofar, After} of
        {#{App := Env}, #{App := #{Key := Value}}} -> Sofar#{App := Env#{Key => Value}};
        _ -> Sofar
      end
    end, Envs, Own)
  end,
  Envs = fun(Running, Before, After) ->
    Init(After, maps:map(fun(App, Env) ->
      case Keep of
        true -> maps:merge(Env, maps:get(App, Running));
        false -> MergeEnvs(maps:get(App, Running), maps:get(App, Before, #{}), Env)
      end
    end, After))
  end,
  Lists = fun(All) -> [{App, maps:to_list(Env)} || {App, Env} <- maps:to_list(All)] end,
  SetAll = fun(List, Options) -> [] =:= List orelse ok =:= application:set_env(List, [{timeout, infinity} | Options]) end,
  %% Sockets may be suspended meanwhile: what is set was put together before. What the release configures is kept for applications that
  %% are loaded later, as at its start.
  Set = fun(#{ours := Ours, others := Others, gone := Gone}) ->
    true = SetAll(Ours, [{persistent, true}]),
    true = SetAll(Others, []),
    _ = [application:unset_env(App, Key, [{timeout, infinity}]) || {App, Key} <- Gone],
    ok
  end,
  IsOwn = fun(App, Key) -> lists:member({App, Key}, Own) end,
  ValueIn = fun(In, App, Key) -> case In of #{App := #{Key := Value}} -> {ok, Value}; _ -> error end end,
  Verify = fun(#{apps := Apps, keys := Keys, wanted := Wanted}) ->
    Has = lists:zipwith(fun application:get_env/2, Apps, Keys),
    Differing = case Has of
      Wanted -> [];
      _ -> [{App, Key} || {{App, Key}, {Is, Should}} <- lists:zip(lists:zip(Apps, Keys), lists:zip(Has, Wanted)), Is =/= Should]
    end,
    {length(Keys), Differing}
  end,
  Values = fun(#{before := Before, merged := All}, Keys) ->
    [{App, Key, ValueIn(Before, App, Key), ValueIn(All, App, Key)} || {App, Key} <- Keys]
  end,
  Loop = fun Loop(Ref, Held, Armed) ->
    receive
      {'$gen_call', From, set} ->
        _ = Armed andalso Set(Held),
        gen_server:reply(From, ok),
        Loop(Ref, Held, Armed);
      {'$gen_call', From, arm} -> gen_server:reply(From, ok), Loop(Ref, Held, true);
      {'$gen_call', From, verify} -> gen_server:reply(From, Verify(Held)), Loop(Ref, Held, Armed);
      {'$gen_call', From, merged} -> gen_server:reply(From, maps:get(merged, Held)), Loop(Ref, Held, Armed);
      {'$gen_call', From, {values, Keys}} -> gen_server:reply(From, Values(Held, Keys)), Loop(Ref, Held, Armed);
      {'$gen_call', From, leave} -> gen_server:reply(From, ok);
      {'DOWN', Ref, process, _, _} -> ok;
      _ -> Loop(Ref, Held, Armed)
    end
  end,
  Hold = fun(Held) ->
    Asks = self(),
    %% One that was left over holds what is out of date.
    case whereis(edeliver_relup_configuration) of undefined -> ok; Left -> exit(Left, kill) end,
    {Holder, Ref} = spawn_monitor(fun() ->
      group_leader(whereis(init), self()),
      Wait = fun Wait(0) -> exit(busy);
                 Wait(Times) ->
        try register(edeliver_relup_configuration, self()) of true -> ok catch error:_ -> timer:sleep(20), Wait(Times - 1) end
      end,
      Wait(50),
      Asks ! {holds, self()},
      Loop(monitor(process, Watched), Held, false)
    end),
    receive
      {holds, Holder} -> demonitor(Ref, [flush]), {ok, Holder};
      {'DOWN', Ref, process, Holder, Reason} -> {error, Reason}
    end
  end,
  Keys = fun(All) -> [{App, Key} || {App, Env} <- maps:to_list(All), Key <- maps:keys(Env), not IsOwn(App, Key)] end,
  Differences = fun(Before, Merged) ->
    Kinds = [{case {ValueIn(Before, App, Key), ValueIn(Merged, App, Key)} of
      {Same, Same} -> same; {error, _} -> added; {_, error} -> removed; _ -> changed
    end, {App, Key}} || {App, Key} <- lists:usort(Keys(Before) ++ Keys(Merged))],
    [[Pair || {Kind, Pair} <- Kinds, Kind =:= Wanted] || Wanted <- [added, removed, changed]]
  end,
  %% Values as the release configures them, and those that somebody else has set.
  Parted = fun(Result, After) ->
    Parts = [{App, lists:partition(fun({Key, Value}) -> ValueIn(After, App, Key) =:= {ok, Value} end, Env)} || {App, Env} <- Lists(Result)],
    {[{App, Env} || {App, {[_ | _] = Env, _}} <- Parts], [{App, Env} || {App, {_, [_ | _] = Env}} <- Parts]}
  end,
  Merged = fun(Before, After, Notes) ->
    Running = maps:map(fun(App, _) -> EnvOf(App) end, After),
    Result = Envs(Running, Before, After),
    [Added, Removed, Changed] = Differences(Running, Result),
    {Ours, Others} = Parted(Result, After),
    Wanted = [Pair || {App, _} = Pair <- Keys(After), is_map_key(App, Result)],
    {Apps, Names} = lists:unzip(Wanted),
    Held = #{before => Running, merged => Result, ours => Ours, others => Others, apps => Apps, keys => Names,
      gone => [Pair || {App, Key} = Pair <- Keys(After), ValueIn(Result, App, Key) =:= error],
      wanted => [case ValueIn(Result, App, Key) of error -> undefined; Is -> Is end || {App, Key} <- Wanted]},
    case Hold(Held) of
      {ok, Holder} -> {ok, Holder, Notes, Added, Removed, Changed};
      {error, Reason} -> {error, Reason, Notes}
    end
  end,
  {How, Resolved} = Resolve(New),
  Notes = case How of next_vm -> []; {no_vm, Why} -> [{new, Why}] end,
  case Resolved of
    {error, Reason} -> {error, Reason, Notes};
    {ok, _, [_ | _] = Problems, _} -> {error, {problems, Problems}, Notes};
    {ok, After, [], _} ->
      case Keep orelse Resolve(Old) of
        true -> Merged(#{}, After, Notes);
        {_, {ok, Before0, _, _}} -> Merged(Before0, After, Notes);
        {_, {error, Reason}} ->
          {_, FromFiles} = Old,
          Before = case (Make(FromFiles))(Here, files) of {ok, Files, _, _} -> Files; _ -> #{} end,
          Merged(Before, After, [{unresolved, Reason} | Notes])
      end
  end.
