%% Where a poll of Phoenix's long polling waits for messages: inside of a request, in this very function.
-module('Elixir.Phoenix.Transports.LongPoll').
-export([listen/5]).

listen(_Conn, _Server, _Token, _Endpoint, Ms) ->
    receive {messages, Text} -> Text after Ms -> "nothing" end.
