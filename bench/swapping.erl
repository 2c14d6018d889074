%% The node's side of bench/swap: an application whose processes and modules have two versions, OTP's engine for a script between
%% them, and the limit: compiled loops around finish_loading. All times are microseconds by the node's own clock.
-module(swapping).
-export([build/2, start/3, stop/0, otp/1, limit/4, watch/0, watched/1]).

name(I) -> list_to_atom("swapped_" ++ integer_to_list(I)).

ebin(Folder, Version) -> filename:join([Folder, "lib", "swapped-" ++ Version, "ebin"]).

%% Versions "1" and "2" of so many modules, below Folder, and a RELEASES that knows both.
build(Folder, Count) ->
    [begin
         Ebin = ebin(Folder, Version),
         ok = filelib:ensure_dir(filename:join(Ebin, "x")),
         [ok = file:write_file(filename:join(Ebin, atom_to_list(name(I)) ++ ".beam"), compiled(I, Version))
          || I <- lists:seq(1, Count)]
     end || Version <- ["1", "2"]],
    Libs = [{swapped, Version, filename:join([Folder, "lib", "swapped-" ++ Version])} || Version <- ["1", "2"]],
    Releases = filename:join(Folder, "RELEASES"),
    ok = file:write_file(Releases, io_lib:format("~tp.~n", [[{release, "bench", "1", "0", Libs, permanent}]])),
    os:putenv("RELDIR", Folder),
    ok.

compiled(I, Version) ->
    Text = case I of
        1 -> ["-behaviour(gen_server). -export([start_link/1, init/1, handle_call/3, handle_cast/2, code_change/3]).\n",
              "start_link(N) -> gen_server:start_link(?MODULE, N, []).\n",
              "init(N) -> {ok, {N, ", Version, "}}.\n",
              "handle_call(state, _, State) -> {reply, State, State}.\n",
              "handle_cast(_, State) -> {noreply, State}.\n",
              "code_change(_, {N, _}, _) -> {ok, {N, ", Version, "}}."];
        _ -> ["-export([version/0, some/1]).\n", "version() -> ", Version, ".\n",
              "some(X) -> [case X of ", [["{", integer_to_list(K), ", Y} -> [", Version, ", Y, ", integer_to_list(K), "]; "]
                                          || K <- lists:seq(1, 200)], "_ -> ok end]."]
    end,
    Source = lists:flatten(["-module(", atom_to_list(name(I)), ").\n", Text, "\n"]),
    {ok, Tokens, _} = erl_scan:string(re:replace(Source, "\\?MODULE", atom_to_list(name(I)), [global, {return, list}])),
    {ok, _, Bytes} = compile:forms(forms(Tokens, []), []),
    Bytes.

forms([], _) -> [];
forms([{dot, _} = Dot | Rest], Form) ->
    {ok, Parsed} = erl_parse:parse_form(lists:reverse([Dot | Form])),
    [Parsed | forms(Rest, [])];
forms([Token | Rest], Form) -> forms(Rest, [Token | Form]).

%% Loads version 1 of all and starts so many processes of the first, below the supervisor of an application.
start(Folder, Modules, Count) ->
    true = code:add_patha(ebin(Folder, "1")),
    [{module, _} = code:load_file(name(I)) || I <- lists:seq(1, Modules)],
    Self = self(),
    Holder = spawn(fun() ->
        Spec = #{id => one, start => {name(1), start_link, []}, modules => [name(1)], restart => temporary},
        {ok, Sup} = supervisor:start_link(swapping_sup, {{simple_one_for_one, 1, 1}, [Spec]}),
        Self ! {sup, Sup},
        receive stop -> ok end
    end),
    receive {sup, Sup} -> ok end,
    register(swapping_holder, Holder),
    ok = application:load({application, swapped, [{vsn, "1"}, {mod, {swapping_app, Sup}}, {modules, []},
                                                  {applications, [kernel, stdlib]}]}),
    ok = application:start(swapped),
    Pids = [begin {ok, Pid} = supervisor:start_child(Sup, [I]), Pid end || I <- lists:seq(1, Count)],
    term_to_binary(Pids).

stop() ->
    Ref = monitor(process, swapping_holder),
    exit(whereis(swapping_holder), kill),
    receive {'DOWN', Ref, _, _, _} -> ok end,
    application:stop(swapped),
    application:unload(swapped),
    ok.

%% What release_handler does with a script once its books are in order.
otp(Script) ->
    {ok, [[{release, _, _, _, Libs, _} | _]]} = file:consult(filename:join(os:getenv("RELDIR"), "RELEASES")),
    [{load_object_code, {swapped, Version, _}} | _] = Script,
    New = [Lib || {swapped, V, _} = Lib <- Libs, V =:= Version],
    Self = self(),
    Pid = spawn(fun() ->
        Before = erlang:monotonic_time(microsecond),
        Answer = release_handler_1:eval_script(Script, [], New, [], []),
        Self ! {self(), Answer, erlang:monotonic_time(microsecond) - Before}
    end),
    receive {Pid, {ok, _}, Time} -> Time; {Pid, Other, _} -> {error, Other} end.

%% Suspend, load, change, resume by compiled loops, with everything prepared: {all, suspend, load, change, resume}.
limit(Folder, Pids, Modules, Version) ->
    Self = self(),
    Pid = spawn(fun() ->
        Names = [name(I) || I <- lists:seq(1, Modules)],
        [code:soft_purge(Name) || Name <- Names],
        {ok, Prepared} = code:prepare_loading([begin
            Path = filename:join(ebin(Folder, Version), atom_to_list(Name) ++ ".beam"),
            {ok, Bytes} = file:read_file(Path),
            {Name, Path, Bytes}
        end || Name <- Names]),
        T0 = now_us(), all(Pids, suspend),
        T1 = now_us(), ok = code:finish_loading(Prepared),
        T2 = now_us(), all(Pids, {change_code, name(1), undefined, []}),
        T3 = now_us(), all(Pids, resume),
        T4 = now_us(),
        [code:soft_purge(Name) || Name <- Names],
        Self ! {self(), [T4 - T0, T1 - T0, T2 - T1, T3 - T2, T4 - T3]}
    end),
    receive {Pid, Times} -> Times end.

now_us() -> erlang:monotonic_time(microsecond).

all(Pids, Request) ->
    Tag = make_ref(),
    lists:foreach(fun(Pid) -> Pid ! {system, {self(), Tag}, Request} end, Pids),
    lists:foreach(fun(_) -> receive {Tag, ok} -> ok end end, Pids).

%% A bystander: from its start until `watched`, when it was not scheduled for longest beyond the millisecond that it sleeps, and for how
%% long: {Longest, Since}.
watch() ->
    spawn(fun() -> watching(now_us(), {0, 0}) end).

watching(Before, Longest) ->
    receive {most, From} -> From ! {self(), Longest}
    after 1 ->
        Now = now_us(),
        watching(Now, max(Longest, {Now - Before, Before}))
    end.

watched(Pid) ->
    Pid ! {most, self()},
    receive {Pid, Longest} -> Longest end.
