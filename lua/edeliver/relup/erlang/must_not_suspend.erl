%% Which of these processes must not be suspended, and why: `[{guard | system | supervisor | typed, Count, SomePids}]`.
%%
%% Compiled functions do what is done for each process; only what stands out is looked at one by one. A supervisor is known by what
%% its module exports, not by its name; one without those exports (ranch_conns_sup) by its parent, which types it so, and by
%% its module, which has the question otherwise than as a call that it makes. Nobody else is asked for children: the question kills
%% many a worker. A parent is asked once for all of its children; a process without such a parent is looked at itself.
-module(must_not_suspend).
-export([run/2]).

run(Pids, Installs) ->
  Read = fun(Item) -> lists:zipwith(fun erlang:process_info/2, Pids, lists:duplicate(length(Pids), Item)) end,
  Find = fun(Among, Infos, Wanted) ->
    case lists:any(Wanted, lists:usort(Infos)) of
      true -> [Pid || {Pid, Info} <- lists:zip(Among, Infos), Wanted(Info)];
      false -> []
    end
  end,
  %% Before OTP 25 only the dictionary knows.
  Ancestor = fun(Pid) ->
    case process_info(Pid, dictionary) of
      {dictionary, Dictionary} ->
        case lists:keyfind('$ancestors', 1, Dictionary) of
          {_, [Name | _]} when is_atom(Name) -> {parent, whereis(Name)};
          {_, [First | _]} -> {parent, First};
          _ -> {parent, undefined}
        end;
      undefined -> undefined
    end
  end,
  Exports = fun(M) ->
    lists:all(fun(Question) -> erlang:function_exported(M, Question, 1) end, [which_children, count_children])
  end,
  Understands = fun(M, WhereUnknown) ->
    try
      {M, Beam, _} = code:get_object_code(M),
      {ok, {M, [{atoms, Atoms}, {imports, Imports}]}} = beam_lib:chunks(Beam, [atoms, imports]),
      lists:keymember(which_children, 2, Atoms) andalso not lists:keymember(which_children, 2, Imports)
    catch
      _:_ -> WhereUnknown
    end
  end,
  TypedSupervisor = fun(Pid) ->
    case Ancestor(Pid) of
      {parent, Parent} when is_pid(Parent), node(Parent) =:= node() ->
        {M, _, _} = proc_lib:translate_initial_call(Parent),
        Exports(M) andalso [P || {_, P, supervisor, _} <- supervisor:which_children(Parent), P =:= Pid] =/= [];
      _ -> false
    end
  end,
  SupervisorsAmong = fun(Among, WhereUnknown) ->
    Calls = lists:map(fun proc_lib:translate_initial_call/1, Among),
    {Known, Others} = lists:partition(Exports, lists:usort([M || {M, _, _} <- lists:usort(Calls)])),
    Possible = [M || M <- Others, Understands(M, WhereUnknown)],
    Find(Among, Calls, fun({M, _, _}) -> lists:member(M, Known) end)
      ++ [Pid || Pid <- Find(Among, Calls, fun({M, _, _}) -> lists:member(M, Possible) end), TypedSupervisor(Pid)]
  end,
  Masters = [whereis(init) | [application_controller:get_master(App) || App <- [kernel, sasl]]],
  Core = [whereis(Name) || Name <- [application_controller, logger, user]],
  System = [Pid || Pid <- Core, lists:member(Pid, Pids)]
    ++ Find(Pids, Read(group_leader), fun({group_leader, Leader}) -> lists:member(Leader, Masters); (_) -> false end),
  Guards = [Pid || Pid <- [whereis(edeliver_relup)], lists:member(Pid, Pids)],
  Infos = try Read(parent) catch error:badarg -> lists:map(Ancestor, Pids) end,
  Above = SupervisorsAmong([P || {parent, P} <- lists:usort(Infos), is_pid(P), node(P) =:= node()], true),
  Loose = case Above of
    [] -> Pids;
    _ -> Find(Pids, Infos, fun({parent, P}) -> not lists:member(P, Above); (_) -> false end)
  end,
  Typed = lists:append([case lists:keymember(supervisor, 3, Children) of
      false -> [];
      true -> sets:to_list(sets:intersection(sets:from_list(Pids), sets:from_list([P || {_, P, supervisor, _} <- Children])))
    end || Children <- lists:map(fun supervisor:which_children/1, Above)]),
  Supervisors = SupervisorsAmong(Typed ++ Loose, false),
  [{Kind, length(Found), lists:sublist(Found, 3)}
    || {Kind, Found} <- [{guard, Guards}, {system, System}, {supervisor, Supervisors}, {typed, [P || P <- Typed, Installs]}],
       Found =/= []].
