%% The websockets, at /socket/websocket of every listener. Text frames; N and TEXT are whatever the client likes:
%%
%%   join TOPIC    "VERSION joined TOPIC"      starts a channel process for the topic (endpoint only)
%%   ping N        "VERSION pong N"            from the channel joined last; on a plain listener from the websocket process
%%   heartbeat N   "VERSION heartbeat N"       from the websocket process, whatever the listener
%%   say TEXT      "TOPIC TEXT"                to every websocket in the topic joined last
%%   leave         "VERSION left TOPIC"        ends the channel joined last
-module(chat_socket).
-export([init/2, websocket_handle/2, websocket_info/2]).

init(Req, Kind) ->
    {cowboy_websocket, Req, {Kind, []}, #{idle_timeout => 120000}}.

websocket_handle({text, Frame}, {Kind, Channels} = State) ->
    case {binary:split(Frame, <<" ">>), Kind, Channels} of
        {[<<"join">>, Topic], channels, _} ->
            {ok, Pid} = 'Elixir.Chat.RoomChannel':join(Topic),
            {text([?VSN, " joined ", Topic]), {Kind, [{Pid, Topic} | Channels]}};
        {[<<"ping">>, N], plain, _} ->
            {text([?VSN, " pong ", N]), State};
        {[<<"heartbeat">>, N], _, _} ->
            {text([?VSN, " heartbeat ", N]), State};
        {[<<"ping">>, N], channels, [{Pid, _} | _]} ->
            Pid ! {ping, N},
            {[], State};
        {[<<"say">>, Text], channels, [{Pid, _} | _]} ->
            Pid ! {say, Text},
            {[], State};
        {[<<"leave">>], channels, [{Pid, _} | _]} ->
            Pid ! leave,
            {[], State};
        _ ->
            {text([?VSN, " refused ", Frame]), State}
    end;
websocket_handle(_Frame, State) ->
    {[], State}.

websocket_info({push, Text}, State) ->
    {text(Text), State};
websocket_info({'DOWN', _, process, Pid, _}, {Kind, Channels}) ->
    {value, {Pid, Topic}, Rest} = lists:keytake(Pid, 1, Channels),
    {text([?VSN, " left ", Topic]), {Kind, Rest}};
websocket_info(_Message, State) ->
    {[], State}.

text(Text) -> [{text, Text}].
