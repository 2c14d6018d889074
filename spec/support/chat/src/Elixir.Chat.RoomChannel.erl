%% One process per joined topic. It stands to its transport (the websocket process) as Phoenix.Channel.Server's do: the
%% transport is the first of '$callers', and each monitors the other once the join is through.
-module('Elixir.Chat.RoomChannel').
-behaviour(gen_server).
-export([join/1, start_link/1, init/1, handle_call/3, handle_cast/2, handle_info/2, code_change/3]).

%% Called by the transport: the channel's pid, monitored from here on.
join(Topic) ->
    Ref = make_ref(),
    From = {self(), Ref},
    {ok, Pid} = 'Elixir.Phoenix.Socket.PoolSupervisor':start_child(From),
    Joining = monitor(process, Pid),
    Pid ! {'Elixir.Phoenix.Channel', Topic, From},
    receive
        {Ref, ok} ->
            demonitor(Joining, [flush]),
            monitor(process, Pid),
            {ok, Pid};
        {'DOWN', Joining, process, Pid, Reason} ->
            {error, Reason}
    end.

start_link(From) ->
    gen_server:start_link(?MODULE, From, []).

init({Transport, _Ref}) ->
    {ok, monitor(process, Transport)}.

handle_info({'Elixir.Phoenix.Channel', Topic, {Transport, Ref}}, Joining) ->
    demonitor(Joining),
    put('$initial_call', {?MODULE, join, 3}),
    put('$callers', [Transport]),
    ok = 'Elixir.Chat.PubSub':subscribe(Topic, Transport),
    chat_counter:joined(),
    monitor(process, Transport),
    Transport ! {Ref, ok},
    {noreply, #{topic => Topic, transport => Transport}};
handle_info({ping, N}, #{transport := Transport} = State) ->
    Transport ! {push, [?VSN, " pong ", N]},
    {noreply, State};
handle_info({say, Text}, #{topic := Topic} = State) ->
    'Elixir.Chat.PubSub':broadcast(Topic, [Topic, " ", Text]),
    {noreply, State};
handle_info(leave, State) ->
    {stop, {shutdown, left}, State};
handle_info({'DOWN', _, process, _, _}, State) ->
    {stop, {shutdown, closed}, State}.

handle_call(version, _From, State) -> {reply, ?VSN, State}.
handle_cast(_, State) -> {noreply, State}.
code_change(_Old, State, _Extra) -> {ok, State}.
