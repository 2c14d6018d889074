%% Funs, with variables of their own and without, that say which version they are of.
-module(swapped_funs).
-export([version/0, bound/1, bare/0]).

version() -> ?VSN.

bound(X) -> fun() -> {X, ?VSN} end.

bare() -> fun() -> {bare, ?VSN} end.
