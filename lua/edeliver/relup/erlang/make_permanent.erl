%% Makes the release Version, which runs, the one that the node starts with: `{ok, Notes}`, `{error, Reason}` with nothing changed, or the atom
%% otp where this release_handler keeps its books in a way that is not known here.
%%
%% It does what release_handler:make_permanent does, but for two things. `start_erl.data` and `RELEASES` are written beside, synced, and
%% renamed: OTP writes them in place, and a start that finds half of them fails. And what else the next start goes by is changed with
%% them: the variables that the start script of mix has put into the VM's environment, which outlive `init:restart`, and the command
%% of heart, whose environment is that of the first start. A release that is permanent already gets only that.
%%
%% Notes are `{variables, [Name]}`, `{runtime_config, Path}` (the sys.config that Elixir writes to at the next start), heart, `{heart,
%% Reason}` (its command is too long, and starts the old release), container (its image decides what the next one starts with).
-module(make_permanent).
-export([run/1]).

run(Version) ->
  Synced = fun(Path, Bytes, Mode) ->
    %% Two may be at it at once.
    New = lists:concat([Path, ".new-", erlang:unique_integer([positive])]),
    Written = case file:open(New, [write, raw, binary]) of
      {ok, Device} ->
        Done = case file:write(Device, Bytes) of ok -> file:sync(Device); NotWritten -> NotWritten end,
        _ = file:close(Device),
        Done;
      NotOpened -> NotOpened
    end,
    _ = file:change_mode(New, Mode),
    case Written =:= ok andalso file:rename(New, Path) of
      ok -> ok;
      false -> _ = file:delete(New), {Path, Written};
      NotRenamed -> _ = file:delete(New), {Path, NotRenamed}
    end
  end,
  %% As file:read_file_info has it; what is not there yet is readable by all.
  Mode = fun(Path) -> case file:read_file_info(Path) of {ok, Info} -> element(8, Info) band 8#777; _ -> 8#644 end end,
  Replace = fun(Path, Bytes) -> Synced(Path, Bytes, Mode(Path)) end,
  IsRelease = fun({release, _, _, _, Libraries, Status}) -> is_list(Libraries) andalso is_atom(Status); (_) -> false end,
  Status = fun(Releases) -> lists:map(fun(Release) ->
      case {element(3, Release), element(6, Release)} of
        {Version, _} -> setelement(6, Release, permanent);
        {_, permanent} -> setelement(6, Release, old);
        _ -> Release
      end
    end, Releases)
  end,
  %% Those that run now are in the file as they are after a restart.
  Text = fun(Releases) ->
    Saved = [case element(6, Release) of current -> setelement(6, Release, unpacked); _ -> Release end || Release <- Releases],
    unicode:characters_to_binary(io_lib:format("%% coding: utf-8~n~tp.~n", [Saved]))
  end,
  Books = fun(Releases, RelDir) ->
    {release, _, _, Erts, _, _} = lists:keyfind(Version, 3, Releases),
    Start = filename:join(RelDir, "start_erl.data"),
    Before = file:read_file(Start),
    case Replace(Start, Erts ++ " " ++ Version) of
      ok ->
        case Replace(filename:join(RelDir, "RELEASES"), Text(Status(Releases))) of
          ok -> ok;
          Failed -> _ = case Before of {ok, Bytes} -> Replace(Start, Bytes); _ -> file:delete(Start) end, {error, Failed}
        end;
      Failed -> {error, Failed}
    end
  end,
  %% The variables of mix that name a file of the version that the node was started as; others were set by hand, and stay.
  Old = os:getenv("RELEASE_VSN"),
  Renewed = fun(Name, File) ->
    Value = os:getenv(Name),
    Suffix = filename:join(["/releases", lists:concat([Old]), File]),
    case is_list(Value) andalso is_list(Old) andalso lists:suffix(Suffix, Value) of
      true -> [{Name, filename:join([lists:sublist(Value, length(Value) - length(Suffix)), "releases", Version, File])}];
      false -> []
    end
  end,
  %% Elixir writes what its providers give into this file, and restarts; it must be one of its own, and the one that init reads.
  RuntimeConfig = fun(RelDir) ->
    Set = os:getenv("RELEASE_SYS_CONFIG"),
    IsCopy = is_list(Set) andalso lists:suffix(".runtime", Set),
    Own = filename:join([RelDir, Version, "sys"]),
    case {Renewed("RELEASE_SYS_CONFIG", "sys"), file:read_file(Own ++ ".config")} of
      {[], _} when not IsCopy, is_list(Set) -> {ok, Set, [], []};
      {_, {ok, Bytes}} when is_list(Set) ->
        case binary:match(Bytes, <<"RUNTIME_CONFIG=true">>) of
          nomatch -> {ok, Own, [{"RELEASE_SYS_CONFIG", Own}], []};
          _ ->
            Root = filename:dirname(RelDir),
            Folder = case IsCopy of
              true -> filename:dirname(Set);
              false -> case os:getenv("RELEASE_TMP") of false -> filename:join(Root, "tmp"); Tmp -> Tmp end
            end,
            Unique = lists:concat([os:system_time(second), "-", erlang:unique_integer([positive])]),
            Copy = filename:join(Folder, lists:concat([os:getenv("RELEASE_NAME"), "-", Version, "-", Unique, ".runtime"])),
            _ = filelib:ensure_dir(Copy),
            case Synced(Copy ++ ".config", Bytes, 8#600) of
              ok -> {ok, Copy, [{"RELEASE_SYS_CONFIG", Copy}], [{runtime_config, unicode:characters_to_binary(Copy ++ ".config")}]};
              Failed -> {error, Failed}
            end
        end;
      {_, {ok, _}} -> {ok, Own, [], []};
      _ -> {ok, false, [], []}
    end
  end,
  Heart = fun(Names) ->
    Command = case whereis(heart) of
      undefined -> "";
      _ -> case heart:get_cmd() of {ok, [_ | _] = Set} -> Set; _ -> case os:getenv("HEART_COMMAND") of false -> ""; Given -> Given end end
    end,
    case Command =/= "" andalso Names =/= [] andalso not lists:prefix("unset RELEASE_", Command) of
      true ->
        case heart:set_cmd("unset " ++ lists:append(lists:join(" ", Names)) ++ "; " ++ Command) of
          ok -> [heart];
          {error, Reason} -> [{heart, Reason}]
        end;
      false -> []
    end
  end,
  Container = fun() ->
    IsOne = filelib:is_file("/.dockerenv") orelse filelib:is_file("/run/.containerenv") orelse
      lists:any(fun(Name) -> is_list(os:getenv(Name)) end, ["KUBERNETES_SERVICE_HOST", "container"]),
    [container || IsOne]
  end,
  %% What a start goes by besides the files.
  Environment = fun(RelDir, Config, Set) ->
    Variables = lists:append([[{"RELEASE_VSN", Version} || is_list(Old)], Set, Renewed("RELEASE_VM_ARGS", "vm.args"),
      Renewed("RELEASE_REMOTE_VM_ARGS", "remote.vm.args")]),
    _ = [os:putenv(Name, Value) || {Name, Value} <- Variables],
    ok = init:make_permanent(filename:join([RelDir, Version, "start"]), Config),
    Names = [Name || {Name, _} <- Variables],
    [{variables, [list_to_binary(Name) || Name <- Names]} || Names =/= []] ++ Heart(Names)
  end,
  Settled = fun(State) ->
    Left = [Each || {_, How} = Each <- element(2, State), How =/= brutal_purge],
    setelement(2, setelement(5, State, Status(element(5, State))), Left)
  end,
  Make = fun(RelDir, Releases, Kept) ->
    case RuntimeConfig(RelDir) of
      {error, Reason} -> {error, Reason};
      {ok, Config, Set, Notes} ->
        case Kept orelse Books(Releases, RelDir) of
          {error, Reason} -> {error, Reason};
          _ ->
            _ = Kept orelse sys:replace_state(release_handler, Settled, infinity),
            {ok, Notes ++ Environment(RelDir, Config, Set) ++ Container()}
        end
    end
  end,
  case sys:get_state(release_handler, 60000) of
    {state, Unpurged, _, RelDir, [_ | _] = Releases, _, _, false, _, _, _} when is_list(Unpurged), is_list(RelDir) ->
      IsStart = filelib:is_regular(filename:join([RelDir, Version, "start.boot"])),
      case {lists:all(IsRelease, Releases), os:type(), lists:keyfind(Version, 3, Releases)} of
        {false, _, _} -> otp;
        {_, {win32, _}, _} -> otp;
        {_, _, false} -> {error, {no_such_release, Version}};
        {_, _, {release, _, _, _, _, Bad}} when Bad =/= permanent, Bad =/= current -> {error, {bad_status, Bad}};
        _ when not IsStart -> {error, {no_such_file, "start.boot"}};
        {_, _, {release, _, _, _, _, Is}} ->
          case Make(RelDir, Releases, Is =:= permanent) of
            {ok, Notes} when Is =/= permanent ->
              %% What the relup has left to be purged now, as OTP does.
              _ = [code:purge(Module) || {Module, brutal_purge} <- Unpurged],
              {ok, Notes};
            Other -> Other
          end
      end;
    _ -> otp
  end.
