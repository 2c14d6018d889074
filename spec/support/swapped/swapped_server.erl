%% A process whose code_change does as its state says: the specs of swaps. VSN is 1 or 2.
-module(swapped_server).
-behaviour(gen_server).
-export([start/1, version/0, init/1, handle_call/3, handle_cast/2, code_change/3]).

start(Kind) -> gen_server:start(?MODULE, Kind, []).

version() -> ?VSN.

init(Kind) -> {ok, {Kind, ?VSN, []}}.

handle_call(state, _, State) -> {reply, State, State};
handle_call(version, _, State) -> {reply, ?VSN, State};
%% Runs old code, once there is new.
handle_call(linger, From, State) -> gen_server:reply(From, ok), receive go -> {noreply, State} end.

handle_cast(_, State) -> {noreply, State}.

%% The state keeps how it came to be what it is.
code_change(Old, {Kind, _, History}, Extra) ->
    case Kind of
        fails when ?VSN =:= 2, not is_tuple(Old) -> {error, does_not_want_to};
        crashes when ?VSN =:= 2, not is_tuple(Old) -> error(is_not_able_to);
        no_way_back when is_tuple(Old) -> error(no_way_back);
        sends when ?VSN =:= 2, not is_tuple(Old) -> swapped_echo ! Old, {ok, {Kind, ?VSN, [Old | History]}};
        looks_up when ?VSN =:= 2, not is_tuple(Old) -> {ok, {Kind, ?VSN, ets:tab2list(swapped_table) ++ History}};
        slow when ?VSN =:= 2, not is_tuple(Old) -> timer:sleep(1500), {ok, {Kind, ?VSN, [Old | History]}};
        _ -> {ok, {Kind, case Old of {down, _} -> ?VSN - 1; _ -> ?VSN end, [{Old, Extra} | History]}}
    end.
