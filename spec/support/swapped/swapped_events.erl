%% Keeps handlers of events as telemetry does: in a table that only its owner writes.
-module(swapped_events).
-behaviour(gen_server).
-export([start/0, attach/3, execute/1, init/1, handle_call/3, handle_cast/2]).

start() -> {ok, _} = gen_server:start({local, ?MODULE}, ?MODULE, [], []), ok.

attach(Id, Event, Fun) -> gen_server:call(?MODULE, {attach, {handler, Id, Event, Fun, none}}).

%% Called by whoever has the event; a handler that fails is detached.
execute(Event) ->
    [try Fun() catch Class:Reason -> gen_server:call(?MODULE, {detach, Handler}), {Class, Reason} end
     || {handler, _, _, Fun, _} = Handler <- ets:lookup(?MODULE, Event)].

init([]) ->
    ets:new(?MODULE, [duplicate_bag, protected, named_table, {keypos, 3}, {read_concurrency, true}]),
    {ok, none}.

handle_call({attach, Handler}, _, State) -> {reply, ets:insert(?MODULE, Handler), State};
handle_call({detach, Handler}, _, State) -> {reply, ets:delete_object(?MODULE, Handler), State}.

handle_cast(_, State) -> {noreply, State}.
