%% Those of these supervisors of ranch's connections that call them `worker` now: what relabel_connections would change back. One
%% that does not show its state in a second counts: to change nothing there does no harm.
-module(hidden_connections).
-export([run/1]).

run(Sups) ->
  IsHidden = fun(Sup) ->
    try sys:get_state(Sup, 1000) of
      {State, _, _, _} when is_tuple(State) -> lists:member(worker, tuple_to_list(State));
      _ -> true
    catch _:_ -> true
    end
  end,
  lists:filter(IsHidden, Sups).
