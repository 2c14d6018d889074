%% Who has joined which topic, in tables of the shape that Elixir's Registry has under Phoenix.PubSub: the named table's row
%% {-2, {duplicate, 1, Keys}}, and in Keys a row {Topic, {Channel, {fastlane, Transport, Serializer, Intercepts}}} each.
-module('Elixir.Chat.PubSub').
-behaviour(gen_server).
-export([start_link/0, subscribe/2, broadcast/2, init/1, handle_call/3, handle_cast/2, handle_info/2]).

start_link() ->
    gen_server:start_link({local, ?MODULE}, ?MODULE, [], []).

%% Called by the channel.
subscribe(Topic, Transport) ->
    gen_server:call(?MODULE, {subscribe, Topic, Transport}).

%% Straight to the transports, past the channels: Phoenix's fastlane.
broadcast(Topic, Text) ->
    [{-2, {duplicate, 1, Keys}}] = ets:lookup(?MODULE, -2),
    _ = [Transport ! {push, Text} || {_, {_, {fastlane, Transport, _, _}}} <- ets:lookup(Keys, Topic)],
    ok.

init([]) ->
    Keys = ets:new(keys, [duplicate_bag, public, {read_concurrency, true}]),
    ?MODULE = ets:new(?MODULE, [set, named_table, {read_concurrency, true}]),
    ets:insert(?MODULE, {-2, {duplicate, 1, Keys}}),
    {ok, Keys}.

handle_call({subscribe, Topic, Transport}, {Channel, _}, Keys) ->
    monitor(process, Channel),
    ets:insert(Keys, {Topic, {Channel, {fastlane, Transport, chat_serializer, []}}}),
    {reply, ok, Keys}.

handle_cast(_, Keys) -> {noreply, Keys}.

handle_info({'DOWN', _, process, Channel, _}, Keys) ->
    ets:match_delete(Keys, {'_', {Channel, '_'}}),
    {noreply, Keys}.
