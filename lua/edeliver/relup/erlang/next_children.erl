%% Gives a fun that asks the next VM (next_vm.erl has it) for the children that these supervisors' `init` and these applications'
%% `start` give, as the new code has them. `{Supervisors, Applications, Keys, Specs}`; the first two are lists of `{Module, New, Now}`: New a
%% list of children's names or `{error, Reason}`, Now those of the supervisor that runs. Keys are those whose values, as the new release's
%% providers resolve them, are not those that the node has: `{Application, Key, added | changed}`; values stay where they are. Specs
%% are `{Module, Id, ChildSpec}` of the children of applications that Wanted names.
%%
%% Resolve is the call of resolve_configuration.erl: children may depend on what is configured.
-module(next_children).
-export([run/4]).

run(Applications, Resolve, Supervisors, Wanted) ->
  fun(Call, Where) ->
    IdOf = fun(#{id := Id}) -> Id; (Spec) -> element(1, Spec) end,
    SpecsOf = fun({ok, {_, Specs}}) when is_list(Specs) -> Specs; (Other) -> {error, Other} end,
    Ids = fun(Specs) when is_list(Specs) -> lists:map(IdOf, Specs); (Failed) -> Failed end,
    Try = fun(Fun) -> try Fun() catch Class:Reason -> {error, {Class, Reason}} end end,
    IsWanted = fun(Id) ->
      Shown = unicode:characters_to_binary(case is_atom(Id) of true -> atom_to_list(Id); false -> io_lib:format("~0tp", [Id]) end),
      lists:any(fun(One) -> Shown =:= One orelse Shown =:= <<"Elixir.", One/binary>> end, Wanted)
    end,
    %% A supervisor's init gets what the one on the node was started with: it is in its state.
    Init = fun(Module, Argument) -> Try(fun() -> Ids(SpecsOf(Call(Module, init, [Argument], 15000))) end) end,
    Pids = processes(),
    Calls = lists:zip(lists:map(fun proc_lib:translate_initial_call/1, Pids), Pids),
    Running = fun(Pid) -> [Id || {Id, _, _, _} <- supervisor:which_children(Pid)] end,
    Supervisor = fun(Module) ->
      case lists:keyfind({supervisor, Module, 1}, 1, Calls) of
        {_, Pid} ->
          %% In a supervisor's state its argument is behind its module.
          Given = Try(fun() -> lists:dropwhile(fun(Part) -> Part =/= Module end, tuple_to_list(sys:get_state(Pid, 1000))) end),
          case Given of
            [Module, Argument | _] -> {Module, Init(Module, Argument), Try(fun() -> Running(Pid) end)};
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
    Start = fun(Application, Module) ->
      ok = case Call(application, load, [Application], 5000) of ok -> ok; {error, {already_loaded, _}} -> ok end,
      {ok, Needed} = Call(application, get_key, [Application, applications], 5000),
      [_ = Call(application, ensure_all_started, [Other], 20000) || Other <- Needed],
      Arguments = case Call(application, get_key, [Application, mod], 5000) of {ok, {_, A}} -> A; _ -> [] end,
      {module, _} = Call(code, load_binary, ['Elixir.Supervisor', "stub", Stub()], 5000),
      Given = try Call(Module, start, [normal, Arguments], 15000) catch _:Thrown -> Thrown end,
      _ = Call(code, purge, ['Elixir.Supervisor'], 5000),
      {module, _} = Call(code, load_file, ['Elixir.Supervisor'], 5000),
      case Given of
        {started, Specs, How} when is_list(Specs) -> SpecsOf(Call('Elixir.Supervisor', init, [Specs, How], 5000));
        {throw, {started, Specs, How}} when is_list(Specs) -> SpecsOf(Call('Elixir.Supervisor', init, [Specs, How], 5000));
        Other -> {error, Other}
      end
    end,
    Top = fun(Application) ->
      Try(fun() ->
        {Pid, _} = application_master:get_child(application_controller:get_master(Application)),
        Running(Pid)
      end)
    end,
    {M, F, A} = Resolve,
    {ok, _, _, Config} = (apply(M, F, A))(Call, Where),
    Keys = [{App, Key, Kind} || {App, Values} <- Config, {Key, Value} <- Values, {App, Key} =/= {elixir, config_provider_init},
      Kind <- case application:get_env(App, Key) of {ok, Value} -> []; {ok, _} -> [changed]; undefined -> [added] end],
    Started = [{Application, Module, Try(fun() -> Start(Application, Module) end)} || {Application, Module} <- Applications],
    {[Supervisor(Module) || Module <- Supervisors],
     [{Module, Ids(Specs), Top(Application)} || {Application, Module, Specs} <- Started],
     Keys,
     [{Module, IdOf(Spec), Spec} || {_, Module, Specs} <- Started, is_list(Specs), Spec <- Specs, IsWanted(IdOf(Spec))]}
  end.
