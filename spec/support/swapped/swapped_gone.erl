%% What a child of swapped_pool runs in version 1 alone.
-module(swapped_gone).
-export([start_link/0]).

start_link() -> swapped_child:start_link(gone, swapped_name).
