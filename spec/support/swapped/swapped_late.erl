%% Code with an on_load, which no prepared code may have.
-module(swapped_late).
-on_load(loaded/0).
-export([version/0]).

loaded() ->
    case persistent_term:get(swapped_late_fails, false) of
        true -> not_this_time;
        false -> persistent_term:put(swapped_late, ?VSN), ok
    end.

version() -> ?VSN.
