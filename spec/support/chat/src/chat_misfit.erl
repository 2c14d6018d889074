%% What release_handler stumbles over when it walks the supervision trees: a gen_server that is no supervisor and crashes when it is
%% asked for children or modules, to be had as a child of any type, and as the root of an application of its own. And what a relup
%% stumbles over.
-module(chat_misfit).
-behaviour(application).
-behaviour(gen_server).
-export([start_link/0, start/2, stop/1, fail/0, init/1, handle_call/3, handle_cast/2]).

start_link() -> gen_server:start_link(?MODULE, [], []).
start(_Type, _Args) -> start_link().
stop(_State) -> ok.

%% For a relup, before its point of no return: fails when the release is installed, at once or slowly, but not when it is checked; a
%% check finds version 1.0.0 in the books of the application controller.
fail() ->
    {ok, Vsn} = application:get_key(chat, vsn),
    case persistent_term:get(?MODULE, never) of
        install when Vsn =/= "1.0.0" -> error(?MODULE);
        slowly when Vsn =/= "1.0.0" -> timer:sleep(1000), error(?MODULE);
        _ -> ok
    end.

init([]) -> {ok, []}.
handle_call(ping, _From, State) -> {reply, pong, State}.
handle_cast(ok, State) -> {noreply, State}.
