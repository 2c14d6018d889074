%% The supervisor of bench/swap's processes.
-module(swapping_sup).
-behaviour(supervisor).
-export([init/1]).

init(Specs) -> {ok, Specs}.
