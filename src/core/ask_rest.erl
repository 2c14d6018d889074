%% The end of ask_slice.erl, where not all of them have answered ok at once: waits for the others, and says who failed.
%%
%% The dead are found by monitors, which wait for nobody, as is_process_alive does.
-module(ask_rest).
-export([run/4]).

run(All, First, Numbers, Until) ->
  Received = fun(Pattern, Conditions, Result) ->
    {messages, Messages} = process_info(self(), messages),
    ets:match_spec_run(Messages, ets:match_spec_compile([{Pattern, Conditions, [Result]}]))
  end,
  Ours = [{is_integer, '$1'}, {'>=', '$1', First}, {'<', '$1', First + tuple_size(All)}],
  Given = fun() -> Received({'$1', '_'}, Ours, '$1') end,
  Dead = fun(Monitors) -> maps:values(maps:with(Received({'DOWN', '$1', process, '_', '_'}, [], '$1'), Monitors)) -- Given() end,
  Watch = fun(Silent, Monitors) ->
    New = [{monitor(process, element(I - First + 1, All)), I} || I <- Silent -- maps:values(Monitors)],
    maps:merge(Monitors, maps:from_list(New))
  end,
  %% Looks at the answers when they are as many as wanted, and after a while without a new one; until nobody is missing.
  Collect = fun Collect(Wanted, Before, Idle, Nap, Monitors) ->
    {message_queue_len, Queued} = process_info(self(), message_queue_len),
    Late = erlang:monotonic_time(millisecond) >= Until,
    if
      Queued < Wanted, not Late, Queued > Before -> timer:sleep(1), Collect(Wanted, Queued, 0, 1, Monitors);
      Queued < Wanted, not Late, Idle < 20 -> timer:sleep(Nap), Collect(Wanted, Queued, Idle + 1, Nap, Monitors);
      true ->
        Silent = (Numbers -- Given()) -- Dead(Monitors),
        Watched = Watch(Silent, Monitors),
        if
          Silent =:= []; Late, Watched =:= Monitors -> {Monitors, Silent};
          true -> timer:sleep(1), Collect(Queued + length(Silent), Queued, 0, min(2 * Nap, 50), Watched)
        end
    end
  end,
  {Monitors, Silent} = Collect(tuple_size(All), 0, 0, 1, #{}),
  Refused = Received({'$1', '$2'}, [{'=/=', '$2', ok} | Ours], {{'$1', '$2'}}),
  {list_to_tuple(Refused), list_to_tuple(Dead(Monitors)), list_to_tuple(Silent)}.
