%% Plain requests, on every listener:
%%
%%   GET /             "VERSION N", N being the joins so far
%%   GET /slow?ms=N    takes N ms, then "VERSION slow", by the version that took the request
%%   GET /rerun?ms=N   the same, but a request that is told upgrade_started waits for upgrade_finished and then starts
%%                     over in the new code: "VERSION rerun"
%%   GET /poll?ms=N    waits as long polling does, where spec/support/servers is loaded: "nothing"
-module(chat_http).
-export([init/2, work/2]).

init(Req0, State) ->
    Ms = maps:get(ms, cowboy_req:match_qs([{ms, int, 0}], Req0)),
    {ok, cowboy_req:reply(200, #{<<"content-type">> => <<"text/plain">>}, work(cowboy_req:path(Req0), Ms), Req0), State}.

work(<<"/slow">>, Ms) ->
    timer:sleep(Ms),
    [?VSN, " slow"];
work(<<"/rerun">> = Path, Ms) ->
    receive
        upgrade_started ->
            receive upgrade_finished -> ?MODULE:work(Path, 0) end
    after Ms ->
        [?VSN, " rerun"]
    end;
work(<<"/poll">>, Ms) ->
    'Elixir.Phoenix.Transports.LongPoll':listen(none, none, none, none, Ms);
work(_Path, _Ms) ->
    [?VSN, " ", integer_to_list(chat_counter:count())].
