%% Code with an on_load, which no prepared code may have.
-module(swapped_late).
-on_load(loaded/0).
-export([version/0]).

loaded() -> persistent_term:put(swapped_late, ?VSN), ok.

version() -> ?VSN.
