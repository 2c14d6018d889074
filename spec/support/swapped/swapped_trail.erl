%% What happened, in its order, and what all of the application is like. It has one version.
-module(swapped_trail).
-behaviour(application).
-export([start/2, stop/1, add/1, mark/1, trail/0, picture/0, install/3]).

start(_, _) ->
    ets:new(?MODULE, [named_table, public, ordered_set, {heir, whereis(init), none}]),
    {ok, Tree} = swapped_tree:start_link(),
    ok = gen_event:add_handler(events(), swapped_handler, handler),
    {ok, Tree}.

stop(_) -> ok.

add(What) -> ets:insert(?MODULE, {erlang:unique_integer([monotonic]), What}).

%% What a relup calls: which code is loaded at this moment.
mark(N) -> add({mark, N, versions()}).

trail() ->
    Found = [What || {_, What} <- ets:tab2list(?MODULE)],
    ets:delete_all_objects(?MODULE),
    Found.

modules() -> [swapped_a, swapped_b, swapped_c, swapped_special, swapped_handler, swapped_tree, swapped_library, swapped_extra].

versions() ->
    [{M, erlang:module_loaded(M) andalso M:version(), erlang:module_loaded(M) andalso M:module_info(md5)} || M <- modules()].

events() -> {events, Pid, _, _} = lists:keyfind(events, 1, supervisor:which_children(swapped_tree)), Pid.

picture() ->
    Children = lists:sort(supervisor:which_children(swapped_tree)),
    {versions(), gen_event:call(events(), swapped_handler, state),
     [{Id, is_pid(Pid) andalso gen_server:call(Pid, state)} || {Id, Pid, _, Of} <- Children, Of =/= dynamic]}.

%% OTP's own engine.
install(Script, Version, Folder) ->
    Self = self(),
    Pid = spawn(fun() ->
        Libs = [{swapped, Version, Folder ++ "/lib/swapped-" ++ Version}],
        Self ! {self(), catch release_handler_1:eval_script(Script, [], Libs, [], [])}
    end),
    receive {Pid, {ok, _}} -> ok; {Pid, Other} -> {error, Other} end.
