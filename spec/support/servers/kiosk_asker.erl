%% A worker that is the parent of another one, knows the question that supervisors are asked, and dies when it is asked.
-module(kiosk_asker).
-behaviour(gen_server).
-export([start_link/0, ask/1, init/1, handle_call/3, handle_cast/2]).

start_link() -> gen_server:start_link(?MODULE, parent, []).

ask(Sup) -> gen_server:call(Sup, which_children).

init(parent) -> gen_server:start_link(?MODULE, child, []);
init(child) -> {ok, none}.

handle_call(child, _, Child) -> {reply, Child, Child}.

handle_cast(_, State) -> {noreply, State}.
