%% A state machine whose data say what its code_change does.
-module(swapped_machine).
-behaviour(gen_statem).
-export([start/1, version/0, callback_mode/0, init/1, handle_event/4, code_change/4]).

start(Kind) -> gen_statem:start(?MODULE, Kind, []).

version() -> ?VSN.

callback_mode() -> handle_event_function.

init(Kind) -> {ok, idle, {Kind, ?VSN}}.

handle_event({call, From}, state, State, Data) -> {keep_state_and_data, [{reply, From, {State, Data}}]}.

code_change(Old, _, {fails, _}, _) when ?VSN =:= 2, not is_tuple(Old) -> {error, does_not_want_to};
code_change({down, _}, State, {Kind, _}, _) -> {ok, State, {Kind, ?VSN - 1}};
code_change(_, State, {Kind, _}, _) -> {ok, State, {Kind, ?VSN}}.
