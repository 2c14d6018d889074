%% The supervisor of an application: version 2 wants a child more.
-module(swapped_tree).
-behaviour(supervisor).
-export([start_link/0, version/0, init/1]).

start_link() -> supervisor:start_link({local, ?MODULE}, ?MODULE, []).

version() -> ?VSN.

init([]) ->
    swapped_trail:add({tree, ?VSN}),
    Workers = [{swapped_a, a1}, {swapped_a, a2}, {swapped_b, b1}, {swapped_c, c1}, {swapped_special, special}] ++ added(),
    {ok, {{one_for_one, 5, 10},
          [{Id, {Module, start_link, [Id]}, permanent, 5000, worker, [Module]} || {Module, Id} <- Workers] ++
          [{events, {gen_event, start_link, []}, permanent, 5000, worker, dynamic}]}}.

-if(?VSN =:= 1).
added() -> [].
-else.
added() -> [{swapped_b, b2}].
-endif.
