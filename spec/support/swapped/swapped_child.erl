%% A child of swapped_pool: how it starts and ends is what persistent terms say and keep.
-module(swapped_child).
-behaviour(gen_server).
-export([start_link/2, version/0, init/1, handle_call/3, handle_cast/2, terminate/2, code_change/3]).

start_link(Id, none) -> gen_server:start_link(?MODULE, Id, []);
start_link(Id, Name) -> gen_server:start_link({local, Name}, ?MODULE, Id, []).

version() -> ?VSN.

init(Id) ->
    process_flag(trap_exit, true),
    case persistent_term:get({swapped_child, Id}, ok) of
        ok -> {ok, {Id, ?VSN}};
        hangs -> timer:sleep(infinity);
        Reason -> {stop, Reason}
    end.

handle_call(_, _, State) -> {reply, State, State}.

handle_cast(_, State) -> {noreply, State}.

terminate(Reason, {Id, Version}) -> persistent_term:put({swapped_ended, Id}, {Reason, Version}).

code_change({down, _}, {Id, _}, _) -> {ok, {Id, ?VSN - 1}};
code_change(_, {Id, _}, _) -> {ok, {Id, ?VSN}}.
