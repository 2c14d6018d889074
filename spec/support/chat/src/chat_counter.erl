%% Counts joins. Its state is another term in version 2, so an upgrade must run its code_change to leave it working.
-module(chat_counter).
-behaviour(gen_server).
-export([start_link/0, joined/0, count/0, init/1, handle_call/3, handle_cast/2, code_change/3]).

start_link() -> gen_server:start_link({local, ?MODULE}, ?MODULE, [], []).
joined() -> gen_server:cast(?MODULE, joined).
count() -> gen_server:call(?MODULE, count).

-ifdef(CHAT_2).
init([]) -> {ok, {joins, 0}}.
handle_call(count, _From, {joins, N} = State) -> {reply, N, State}.
handle_cast(joined, {joins, N}) -> {noreply, {joins, N + 1}}.
code_change({down, _}, {joins, N}, _Extra) -> {ok, N};
code_change(_, N, _Extra) -> {ok, {joins, N}}.
-else.
init([]) -> {ok, 0}.
handle_call(count, _From, N) -> {reply, N, N}.
handle_cast(joined, N) -> {noreply, N + 1}.
code_change(_, N, _Extra) -> {ok, N}.
-endif.
