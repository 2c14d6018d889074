%% A worker whose state is what has become of it, and which tells swapped_trail.
-behaviour(gen_server).
-export([start_link/1, version/0, init/1, handle_call/3, handle_cast/2, code_change/3]).

start_link(Id) -> gen_server:start_link(?MODULE, Id, []).

version() -> ?VSN.

init(Id) -> swapped_trail:add({started, Id, ?VSN}), {ok, {Id, ?VSN, []}}.

handle_call(_, _, State) -> {reply, State, State}.

handle_cast(_, State) -> {noreply, State}.

code_change(Old, {Id, _, History}, Extra) ->
    swapped_trail:add({changed, Id, Old, Extra, ?VSN}),
    {ok, {Id, ?VSN, [{Old, Extra} | History]}}.
