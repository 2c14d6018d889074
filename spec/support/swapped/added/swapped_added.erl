%% An application that a relup adds: whether it starts is what a persistent term says.
-module(swapped_added).
-behaviour(application).
-export([start/2, stop/1]).

start(_, _) ->
    case persistent_term:get(swapped_added, ok) of
        ok -> {ok, spawn_link(fun() -> register(swapped_added, self()), receive stop -> ok end end)};
        Reason -> {error, Reason}
    end.

stop(_) -> ok.
