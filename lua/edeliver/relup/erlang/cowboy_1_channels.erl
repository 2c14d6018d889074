%% The channels that are linked to these websockets and name them as their ancestors, and the websockets that have none.
-module(cowboy_1_channels).
-export([run/2]).

run(Pids, Sups) ->
  IsChannel = fun(Pid, Websocket) ->
    case process_info(Pid, dictionary) of
      {_, Entries} ->
        proplists:get_value('$initial_call', Entries) =:= {'Elixir.Phoenix.Channel.Server', init, 1}
          andalso lists:prefix([Websocket], proplists:get_value('$ancestors', Entries, []));
      undefined -> false
    end
  end,
  Of = fun(Websocket) ->
    case process_info(Websocket, links) of
      {_, Links} -> [Pid || Pid <- Links, is_pid(Pid), node(Pid) =:= node(),
                            not lists:member(Pid, Sups), IsChannel(Pid, Websocket)];
      undefined -> []
    end
  end,
  Found = [{Pid, Of(Pid)} || Pid <- Pids],
  {lists:append([Channels || {_, Channels} <- Found]), [Pid || {Pid, []} <- Found]}.
