%% Code that nobody has as a callback.
-module(swapped_library).
-export([version/0]).

version() -> ?VSN.
