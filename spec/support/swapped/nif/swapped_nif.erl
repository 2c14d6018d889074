%% Code with a NIF library of its own version, which lies in the application's priv.
-module(swapped_nif).
-on_load(loaded/0).
-export([version/0, value/0]).

loaded() -> erlang:load_nif(filename:join(code:priv_dir(swapped), "swapped_nif"), 0).

version() -> ?VSN.

value() -> erlang:nif_error(not_loaded).
