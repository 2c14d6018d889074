%% A supervisor that is not OTP's, as RabbitMQ's supervisor2 is none: start_link(Type) has one child, typed so, which is a worker
%% that would die of the question that supervisors are asked, and that asks it itself, of others, by a message.
-module(kiosk_sup2).
-behaviour(gen_server).
-export([start_link/1, which_children/1, count_children/1, init/1, handle_call/3, handle_cast/2]).

start_link(Type) -> gen_server:start_link(?MODULE, Type, []).

which_children(Sup) -> gen_server:call(Sup, which_children).
count_children(Sup) -> gen_server:call(Sup, count_children).

init(Type) ->
    {ok, Child} = kiosk_asker:start_link(),
    {ok, {Child, Type}}.

handle_call(which_children, _, {Child, Type} = State) -> {reply, [{child, Child, Type, [kiosk_asker]}], State};
handle_call(count_children, _, State) -> {reply, [{specs, 1}, {active, 1}, {supervisors, 0}, {workers, 1}], State}.

handle_cast(_, State) -> {noreply, State}.
