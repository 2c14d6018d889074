%% Starts a VM of the release below Root beside the node and asks it: the children that these supervisors' `init` and these
%% applications' `start` give, as the new code has them. `{Supervisors, Applications, Keys, Specs}`, where each of the first two is
%% `{Module, New, Now}`: New a list of children's names or `{error, Reason}`, Now those of the supervisor that runs; then the keys
%% whose values, as the new release's providers resolve them, are not those that the node has: `{Application, Key, added |
%% changed}`; values stay where they are; then `{Module, Id, Spec}` of the applications' children that Wanted names, as binaries.
%% Or `{error, Reason}` where there is no such VM. It needs OTP 25, and ends with the call.
%%
%% Without distribution of its own and without an entry in epmd, but with the node's name, since configuration often depends on it.
%% Its environment is the new release's; flags of the old one (a heart above all) are not handed on.
-module(next_vm).
-export([run/8]).

run(Root, Version, Name, Erts, Ebins, Supervisors, Applications, Wanted) ->
  Below = fun(Parts) -> filename:join([Root | Parts]) end,
  Folder = ["releases", Version],
  Env = [{"RELEASE_ROOT", Root}, {"RELEASE_VSN", Version}, {"RELEASE_NAME", Name}, {"RELEASE_SYS_CONFIG", Below(Folder ++ ["sys"])},
         {"RELEASE_VM_ARGS", Below(Folder ++ ["vm.args"])}, {"ERL_CRASH_DUMP", "/dev/null"}, {"ERL_ZFLAGS", false},
         {"ERL_AFLAGS", false}, {"ERL_FLAGS", false}, {"HEART_COMMAND", false}],
  %% A release need not have an erts of its own.
  Own = Below(["erts-" ++ Erts, "bin", "erl"]),
  Erl = case {filelib:is_regular(Own), erlang:system_info(version), os:getenv("BINDIR")} of
    {false, Erts, Bin} when is_list(Bin) -> filename:join(Bin, "erl");
    _ -> Own
  end,
  EnvSh = Below(Folder ++ ["env.sh"]),
  Shell = "[ ! -f \"$0\" ] || . \"$0\" >/dev/null 2>&1; exec \"$@\"",
  Distribution = case node() of
    nonode@nohost -> [];
    Node ->
      [case net_kernel:longnames() of true -> "-name"; _ -> "-sname" end, atom_to_list(Node), "-dist_listen", "false",
       "-start_epmd", "false", "-setcookie", "x" ++ integer_to_list(erlang:unique_integer([positive]))]
  end,
  Boot = case filelib:is_regular(Below(Folder ++ ["start_clean.boot"])) of
    true -> ["-boot", Below(Folder ++ ["start_clean"]), "-boot_var", "RELEASE_LIB", Below(["lib"])];
    false -> ["-boot", "start_clean"]
  end,
  Options = #{connection => standard_io, wait_boot => 15000, env => Env,
    exec => {"/bin/sh", ["-c", Shell, EnvSh, Erl]},
    args => Boot ++ ["-mode", "interactive" | Distribution] ++ ["-pa" | Ebins]},
  IdOf = fun(#{id := Id}) -> Id; (Spec) -> element(1, Spec) end,
  SpecsOf = fun({ok, {_, Specs}}) when is_list(Specs) -> Specs; (Other) -> {error, Other} end,
  Ids = fun(Specs) when is_list(Specs) -> lists:map(IdOf, Specs); (Failed) -> Failed end,
  Try = fun(Fun) -> try Fun() catch Class:Reason -> {error, {Class, Reason}} end end,
  Configure = fun(Vm) ->
    {ok, [Sys]} = file:consult(Below(Folder ++ ["sys.config"])),
    Elixir = proplists:get_value(elixir, Sys, []),
    Config = case proplists:get_value(config_provider_init, Elixir) of
      #{providers := Providers, extra_config := Extra} ->
        {ok, _} = peer:call(Vm, application, ensure_all_started, [elixir]),
        Base = peer:call(Vm, 'Elixir.Config.Reader', merge, [Sys, Extra]),
        lists:foldl(fun({Provider, State}, Sofar) -> peer:call(Vm, Provider, load, [Sofar, State], 30000) end, Base, Providers);
      _ -> Sys
    end,
    ok = peer:call(Vm, application, set_env, [Config, []]),
    [{App, Key, Kind} || {App, Values} <- Config, {Key, Value} <- Values, {App, Key} =/= {elixir, config_provider_init},
       Kind <- case application:get_env(App, Key) of {ok, Value} -> []; {ok, _} -> [changed]; undefined -> [added] end]
  end,
  IsWanted = fun(Id) ->
    Shown = unicode:characters_to_binary(case is_atom(Id) of true -> atom_to_list(Id); false -> io_lib:format("~0tp", [Id]) end),
    lists:any(fun(One) -> Shown =:= One orelse Shown =:= <<"Elixir.", One/binary>> end, Wanted)
  end,
  %% A supervisor's init gets what the one on the node was started with: it is in its state.
  Init = fun(Vm, Module, Argument) -> Try(fun() -> Ids(SpecsOf(peer:call(Vm, Module, init, [Argument], 15000))) end) end,
  Pids = processes(),
  Calls = lists:zip(lists:map(fun proc_lib:translate_initial_call/1, Pids), Pids),
  Running = fun(Pid) -> [Id || {Id, _, _, _} <- supervisor:which_children(Pid)] end,
  Supervisor = fun(Vm, Module) ->
    case lists:keyfind({supervisor, Module, 1}, 1, Calls) of
      {_, Pid} ->
        %% In a supervisor's state its argument is behind its module.
        Given = Try(fun() -> lists:dropwhile(fun(Part) -> Part =/= Module end, tuple_to_list(sys:get_state(Pid, 1000))) end),
        case Given of
          [Module, Argument | _] -> {Module, Init(Vm, Module, Argument), Try(fun() -> Running(Pid) end)};
          Other -> {Module, {error, Other}, []}
        end;
      false -> {Module, {error, not_running}, []}
    end
  end,
  %% In place of Elixir's Supervisor, one whose start_link throws what it was given.
  Stub = fun() ->
    Variable = fun(V) -> {var, 1, V} end,
    Throwing = fun(Arity) ->
      Variables = lists:map(Variable, lists:sublist(['A', 'B', 'C'], Arity)),
      {function, 1, start_link, Arity, [{clause, 1, Variables, [],
        [{call, 1, {atom, 1, throw}, [{tuple, 1, [{atom, 1, started} | Variables]}]}]}]}
    end,
    {ok, _, Bin} = compile:forms([{attribute, 1, module, 'Elixir.Supervisor'},
      {attribute, 1, export, [{start_link, 2}, {start_link, 3}]}, Throwing(2), Throwing(3)], []),
    Bin
  end,
  Start = fun(Vm, Application, Module) ->
    ok = case peer:call(Vm, application, load, [Application]) of ok -> ok; {error, {already_loaded, _}} -> ok end,
    {ok, Needed} = peer:call(Vm, application, get_key, [Application, applications]),
    [_ = peer:call(Vm, application, ensure_all_started, [Other], 20000) || Other <- Needed],
    Arguments = case peer:call(Vm, application, get_key, [Application, mod]) of {ok, {_, A}} -> A; _ -> [] end,
    {module, _} = peer:call(Vm, code, load_binary, ['Elixir.Supervisor', "stub", Stub()]),
    Given = try peer:call(Vm, Module, start, [normal, Arguments], 15000) catch _:Thrown -> Thrown end,
    _ = peer:call(Vm, code, purge, ['Elixir.Supervisor']),
    {module, _} = peer:call(Vm, code, load_file, ['Elixir.Supervisor']),
    case Given of
      {started, Specs, How} when is_list(Specs) -> SpecsOf(peer:call(Vm, 'Elixir.Supervisor', init, [Specs, How]));
      {throw, {started, Specs, How}} when is_list(Specs) -> SpecsOf(peer:call(Vm, 'Elixir.Supervisor', init, [Specs, How]));
      Other -> {error, Other}
    end
  end,
  Top = fun(Application) ->
    Try(fun() ->
      {Pid, _} = application_master:get_child(application_controller:get_master(Application)),
      Running(Pid)
    end)
  end,
  case code:ensure_loaded(peer) of
    {module, peer} ->
      try peer:start_link(Options) of
        {ok, Vm, _} ->
          try
            Keys = Configure(Vm),
            Started = [{Application, Module, Try(fun() -> Start(Vm, Application, Module) end)}
                       || {Application, Module} <- Applications],
            {[Supervisor(Vm, Module) || Module <- Supervisors],
             [{Module, Ids(Specs), Top(Application)} || {Application, Module, Specs} <- Started],
             Keys,
             [{Module, IdOf(Spec), Spec} || {_, Module, Specs} <- Started, is_list(Specs), Spec <- Specs, IsWanted(IdOf(Spec))]}
          catch Class:Reason -> {error, {Class, Reason}}
          after peer:stop(Vm)
          end;
        Other -> {error, Other}
      catch Class:Reason -> {error, {Class, Reason}}
      end;
    _ -> {error, no_peer}
  end.
