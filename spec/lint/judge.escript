#!/usr/bin/env escript
%% What the real release_handler makes of scripts. Usage: judge.escript FOLDER CASES
%% FOLDER is what relups.escript made; CASES holds terms {Name, Script}. Prints a term for each:
%%   {Name, Check, Changed, Install, Left}
%% Check: ok or refused, by check_install_release's own function. Changed: whether that dry run changed the node. Install: ok, refused,
%% restarts (a failure behind the point of no return), restart_emulator. Left: what the install left behind, of suspended,
%% stopped, not_loaded, no_code_change.
-mode(compile).
-behaviour(gen_server).
-export([undefined_function/3, undefined_lambda/3]).
-export([start_link/0, init/1, handle_call/3, handle_cast/2, handle_info/2, code_change/3]).
-define(MODULES, [m_a, m_b, m_sup, m_same]).

main([Dir, Cases]) ->
    logger:set_primary_config(level, none),
    process_flag(error_handler, ?MODULE),
    {ok, _} = application:ensure_all_started(sasl),
    {ok, Scripts} = file:consult(Cases),
    [io:format("~0tp.~n", [judge(Dir, Name, Script)]) || {Name, Script} <- Scripts].

judge(Dir, Name, Script) ->
    Libs = libs(Dir),
    Before = start(Dir),
    Check = case catch release_handler_1:check_script(Script, Libs) of {ok, _} -> ok; _ -> refused end,
    Changed = state() =/= Before,
    stop(),
    start(Dir),
    Rest = case Script of [restart_new_emulator | Behind] -> Behind; _ -> Script end,
    Install = case catch release_handler_1:eval_script(Rest, [], Libs, [], []) of
        {ok, _} -> ok;
        restart_emulator -> restart_emulator;
        {error, _} -> refused;
        {'EXIT', _} -> restarts
    end,
    Left = [What || {What, true} <- left(Script)],
    stop(),
    {Name, Check, Changed, Install, Left}.

%% Releases run in embedded mode: no module is loaded when it is first called.
undefined_function(M, F, A) ->
    case lists:member(M, [m_new, m_old | ?MODULES]) of
        true -> erlang:raise(error, undef, [{M, F, A, []}]);
        false -> error_handler:undefined_function(M, F, A)
    end.
undefined_lambda(M, F, A) -> error_handler:undefined_lambda(M, F, A).

libs(Dir) ->
    [{shop, "2.0.0", filename:join([Dir, "lib", "shop-2.0.0"])}, {extra, "1.0.0", filename:join([Dir, "lib", "extra-1.0.0"])} |
     [{App, filename:basename(code:lib_dir(App)) -- (atom_to_list(App) ++ "-"), code:lib_dir(App)} || App <- [kernel, stdlib]]].

%% The old release runs, with one process that m_a says is its own.
start(Dir) ->
    [begin code:purge(M), code:delete(M), code:purge(M) end || M <- [m_new, m_old | ?MODULES]],
    [{module, M} = code:load_abs(filename:join([Dir, "lib", "shop-1.0.0", "ebin", M])) || M <- ?MODULES],
    put(changed, false),
    {ok, _} = supervisor:start_child(kernel_safe_sup, #{id => m_a, start => {?MODULE, start_link, []}, modules => [m_a]}),
    state().

stop() ->
    catch sys:resume(m_a_server, 1000),
    supervisor:terminate_child(kernel_safe_sup, m_a),
    ok = supervisor:delete_child(kernel_safe_sup, m_a).

state() -> {[erlang:get_module_info(M, md5) || M <- ?MODULES, erlang:module_loaded(M)], whereis(m_a_server), is_suspended()}.

is_suspended() ->
    case whereis(m_a_server) of
        undefined -> false;
        Pid -> {status, _, _, [_, Status | _]} = sys:get_status(Pid), Status =:= suspended
    end.

left(Script) ->
    Pid = whereis(m_a_server),
    Loaded = [M || {load, {M, _, _}} <- Script, lists:member(M, ?MODULES)],
    [{suspended, is_suspended()}, {stopped, Pid =:= undefined}, {not_loaded, [M || M <- Loaded, M:version() =:= 1, M =/= m_same] =/= []},
     {no_code_change, changes(Script) andalso Pid =/= undefined andalso not is_suspended() andalso not gen_server:call(Pid, changed)}].

changes(Script) ->
    lists:any(fun({code_change, L}) -> lists:keymember(m_a, 1, L); ({code_change, _, L}) -> lists:keymember(m_a, 1, L); (_) -> false end, Script).

start_link() -> gen_server:start_link({local, m_a_server}, ?MODULE, [], []).
init([]) -> {ok, false}.
handle_call(changed, _, Changed) -> {reply, Changed, Changed}.
handle_cast(_, S) -> {noreply, S}.
handle_info(_, S) -> {noreply, S}.
code_change(_, _, _) -> {ok, true}.
