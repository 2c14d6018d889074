%% Has the LiveViews of the node render again, as Phoenix's live reload does: how many were asked, or the atom next_event where this
%% version of LiveView would crash of it; there a view shows the new code with its next event.
%%
%% They are asked in batches, in the background: all at once would keep the node from everything else.
-module(live_views_render).
-export([run/0]).

run() ->
  Version = case application:get_key(phoenix_live_view, vsn) of
    {ok, Vsn} ->
      [case string:to_integer(Part) of {Number, _} when is_integer(Number) -> Number; _ -> 0 end
       || Part <- lists:sublist(string:split(Vsn, ".", all), 3)];
    undefined -> []
  end,
  %% From 0.20.15 to 1.1 it takes for granted that a code reloader is configured; before 0.18.4 it does not know the request.
  Knows = Version =/= [] andalso (Version >= [1, 2, 0] orelse Version >= [0, 18, 4] andalso Version < [0, 20, 15]),
  %% With Mix in the release it would try to compile.
  Reloads = code:which('Elixir.Mix.Project') =/= non_existing,
  Pids = processes(),
  Views = [Pid || {Pid, {_, mount, 3}} <- lists:zip(Pids, lists:map(fun proc_lib:translate_initial_call/1, Pids))],
  Ask = fun Ask([]) -> ok;
            Ask(Left) ->
    {Batch, Rest} = lists:split(min(200, length(Left)), Left),
    _ = lists:zipwith(fun erlang:send/2, Batch, lists:duplicate(length(Batch), {phoenix_live_reload, <<>>, <<>>})),
    timer:sleep(20),
    Ask(Rest)
  end,
  if
    Version =:= []; Views =:= [] -> 0;
    not Knows; Reloads -> next_event;
    true -> spawn(fun() -> Ask(Views) end), length(Views)
  end.
