%% A worker of which only its child spec says what module it is of.
-module(swapped_special).
-export([start_link/1, begin_it/1, version/0, init/1, handle_call/3, handle_cast/2, code_change/3]).
-behaviour(gen_server).

start_link(Id) -> proc_lib:start_link(?MODULE, begin_it, [Id]).

begin_it(Id) ->
    swapped_trail:add({started, Id, ?VSN}),
    proc_lib:init_ack({ok, self()}),
    gen_server:enter_loop(?MODULE, [], {Id, ?VSN, []}).

version() -> ?VSN.

init(_) -> ignore.

handle_call(_, _, State) -> {reply, State, State}.

handle_cast(_, State) -> {noreply, State}.

code_change(Old, {Id, _, History}, Extra) ->
    swapped_trail:add({changed, Id, Old, Extra, ?VSN}),
    {ok, {Id, ?VSN, [{Old, Extra} | History]}}.
