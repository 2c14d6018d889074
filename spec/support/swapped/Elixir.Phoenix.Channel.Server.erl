%% What starts channels, as far as swaps are concerned: the process says which channel it is.
-module('Elixir.Phoenix.Channel.Server').
-behaviour(gen_server).
-export([start/2, init/1, handle_call/3, handle_cast/2, code_change/3]).

start(Channel, Kind) -> gen_server:start(?MODULE, {Channel, Kind}, []).

init({Channel, Kind}) -> put('$initial_call', {Channel, join, 3}), {ok, {Channel, {Kind, Channel:version()}}}.

handle_call(state, _, {_, State} = All) -> {reply, State, All}.

handle_cast(_, State) -> {noreply, State}.

code_change(Old, {Channel, State}, Extra) ->
    case erlang:function_exported(Channel, code_change, 3) of
        true -> case Channel:code_change(Old, State, Extra) of {ok, New} -> {ok, {Channel, New}}; Other -> Other end;
        false -> {ok, {Channel, State}}
    end.
