%% A channel as Phoenix has them: its server is another module, which hands code_change on.
-module(swapped_channel).
-export([version/0, code_change/3]).

version() -> ?VSN.

code_change(Old, {fails, _}, _) when ?VSN =:= 2, not is_tuple(Old) -> {error, does_not_want_to};
code_change({down, _}, {Kind, _}, _) -> {ok, {Kind, ?VSN - 1}};
code_change(_, {Kind, _}, _) -> {ok, {Kind, ?VSN}}.
