%% Starts a VM of the release Version below Root beside the node, and asks it: `{ok, [Answer]}`, or `{error, Reason}` where there is no
%% such VM (`no_peer`: it needs OTP 25). It ends with the call.
%%
%% Each of Questions is a call, `{M, F, A}`, that gives a fun. The fun gets Call, which makes a call in that VM, `fun(M, F, A, Timeout)`, and the
%% atom next_vm; what it gives is the answer, and `{error, {Class, Reason}}` where it fails. They are asked in order, and each finds
%% the VM as the one before has left it.
%%
%% Without distribution of its own and without an entry in epmd, but with the node's name, since configuration often depends on it.
%% Its environment is the new release's; flags of the old one (a heart above all) are not handed on.
-module(next_vm).
-export([run/3]).

run(Questions, Root, Version) ->
  Below = fun(Parts) -> filename:join([Root | Parts]) end,
  Folder = Below(["releases", Version]),
  {Name, Erts} = case [Rel || File <- filelib:wildcard(filename:join(Folder, "*.rel")), {ok, [Rel]} <- [file:consult(File)]] of
    [{release, {Name0, _}, {erts, Erts0}, _} | _] -> {Name0, Erts0};
    _ -> {"", erlang:system_info(version)}
  end,
  Env = [{"RELEASE_ROOT", Root}, {"RELEASE_VSN", Version}, {"RELEASE_NAME", Name},
         {"RELEASE_SYS_CONFIG", filename:join(Folder, "sys")}, {"RELEASE_VM_ARGS", filename:join(Folder, "vm.args")},
         {"ERL_CRASH_DUMP", "/dev/null"}, {"HEART_COMMAND", false}],
  %% A release need not have an erts of its own; then $ROOT is the node's.
  Own = Below(["erts-" ++ Erts, "bin", "erl"]),
  Bin = case os:getenv("BINDIR") of false -> code:root_dir(); Set -> Set end,
  Erls = [File || File <- [Own, filename:join(Bin, "erl"), os:find_executable("erl")], is_list(File), filelib:is_regular(File)],
  Libraries = case Erls of [Own | _] -> Root; _ -> code:root_dir() end,
  Shell = "[ ! -f \"$0\" ] || . \"$0\" >/dev/null 2>&1; unset ERL_AFLAGS ERL_ZFLAGS ERL_FLAGS HEART_COMMAND; exec \"$@\"",
  Distribution = case node() of
    nonode@nohost -> [];
    Node ->
      [case net_kernel:longnames() of true -> "-name"; _ -> "-sname" end, atom_to_list(Node), "-dist_listen", "false",
       "-start_epmd", "false", "-setcookie", "x" ++ integer_to_list(erlang:unique_integer([positive]))]
  end,
  Boot = case filelib:is_regular(filename:join(Folder, "start_clean.boot")) of
    true -> ["-boot", filename:join(Folder, "start_clean"), "-boot_var", "RELEASE_LIB", Below(["lib"])];
    false -> ["-boot", "start_clean"]
  end,
  %% Where its code lies says its boot script.
  Absolute = fun("$ROOT" ++ Rest) -> Libraries ++ Rest;
                ("$RELEASE_LIB" ++ Rest) -> Below(["lib"]) ++ Rest;
                (Path) -> Path
  end,
  Paths = case file:read_file(filename:join(Folder, "start.boot")) of
    {ok, Binary} ->
      {script, _, Script} = binary_to_term(Binary),
      lists:usort([Absolute(Path) || {path, List} <- Script, Path <- List]);
    _ -> []
  end,
  %% What is said last comes first.
  {Consolidated, Ebins} = lists:partition(fun(Path) -> filename:basename(Path) =:= "consolidated" end, Paths),
  Options = fun(Erl) ->
    #{connection => standard_io, wait_boot => 15000, env => Env, exec => {"/bin/sh", ["-c", Shell, filename:join(Folder, "env.sh"), Erl]},
      args => Boot ++ ["-mode", "interactive" | Distribution] ++ ["-pa" | Ebins ++ Consolidated]}
  end,
  Ask = fun(Call, {M, F, A}) -> try (apply(M, F, A))(Call, next_vm) catch Class:Reason -> {error, {Class, Reason}} end end,
  case code:ensure_loaded(peer) of
    {module, peer} when Erls =:= [] -> {error, no_erl};
    {module, peer} ->
      try peer:start_link(Options(hd(Erls))) of
        {ok, Vm, _} ->
          Call = fun(M, F, A, Timeout) -> peer:call(Vm, M, F, A, Timeout) end,
          Answers = [Ask(Call, Question) || Question <- Questions],
          %% One that was ended by what it was asked is gone already, which is no reason to ask anybody else.
          _ = try peer:stop(Vm) catch _:_ -> gone end,
          {ok, Answers};
        Other -> {error, Other}
      catch Class:Reason -> {error, {Class, Reason}}
      end;
    _ -> {error, no_peer}
  end.
