%% The application of bench/swap, whose supervisor is there already: its processes are many, and are made by the bench.
-module(swapping_app).
-behaviour(application).
-export([start/2, stop/1]).

start(_, Sup) -> {ok, Sup}.
stop(_) -> ok.
