%% Makes supervisors of ranch's connections call those `To` that they call `From`, `supervisor` or `worker`. The word is looked
%% for in their state, which has another shape in every version of ranch: where it is there once, it is that word.
-module(relabel_connections).
-export([run/3]).

run(Sups, From, To) ->
  Relabel = fun
    ({State, Count, Children, Sleepers} = Misc) ->
      case [I || I <- lists:seq(1, tuple_size(State)), element(I, State) =:= From] of
        [I] -> {setelement(I, State, To), Count, Children, Sleepers};
        _ -> Misc
      end;
    (Misc) -> Misc
  end,
  lists:foreach(fun(Sup) -> try sys:replace_state(Sup, Relabel) catch _:_ -> unknown end end, Sups).
