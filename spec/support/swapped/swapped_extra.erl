%% Code that relups remove and add.
-module(swapped_extra).
-export([version/0]).

version() -> ?VSN.
