%% Funs, with variables of their own and without, that say which version they are of.
-module(swapped_funs).
-export([version/0, bound/1, bare/0, other/1]).

version() -> ?VSN.

bound(X) -> fun() -> {X, ?VSN} end.

bare() -> fun() -> {bare, ?VSN} end.

%% In its second version it has more variables of its own.
-if(?VSN =:= 1).
other(X) -> fun() -> {X, ?VSN} end.
-else.
other(X) -> Y = make_ref(), fun() -> {X, Y, ?VSN} end.
-endif.
