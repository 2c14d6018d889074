%% A handler of events: its manager's child spec says modules dynamic.
-module(swapped_handler).
-behaviour(gen_event).
-export([version/0, init/1, handle_event/2, handle_call/2, code_change/3]).

version() -> ?VSN.

init(Id) -> {ok, {Id, ?VSN, []}}.

handle_event(_, State) -> {ok, State}.

handle_call(_, State) -> {ok, State, State}.

code_change(Old, {Id, _, History}, Extra) ->
    swapped_trail:add({changed, Id, Old, Extra, ?VSN}),
    {ok, {Id, ?VSN, [{Old, Extra} | History]}}.
