%% What release_handler stumbles over when it walks the supervision trees: a gen_server that is no supervisor and crashes when it is
%% asked for children or modules, to be had as a child of any type, and as the root of an application of its own.
-module(chat_misfit).
-behaviour(application).
-behaviour(gen_server).
-export([start_link/0, start/2, stop/1, init/1, handle_call/3, handle_cast/2]).

start_link() -> gen_server:start_link(?MODULE, [], []).
start(_Type, _Args) -> start_link().
stop(_State) -> ok.

init([]) -> {ok, []}.
handle_call(ping, _From, State) -> {reply, pong, State}.
handle_cast(ok, State) -> {noreply, State}.
