%% Terminates acceptors, each below its supervisor, which keeps its specification. One that has taken a connection, and has not handed
%% it over yet, would take it along: so each is terminated while it waits for the next one. Those that are busy whenever they are
%% looked at are terminated all the same.
-module(stop_acceptors).
-export([run/2]).

run(Sups, Ids) ->
  Wanted = lists:zip(Sups, Ids),
  Running = [{Sup, Id, Pid} || Sup <- lists:usort(Sups), {Id, Pid, _, _} <- supervisor:which_children(Sup), is_pid(Pid),
             lists:member({Sup, Id}, Wanted)],
  Waits = fun(Pid) ->
    case process_info(Pid, [current_function, message_queue_len]) of
      [{_, {prim_inet, accept0, _}}, {_, Messages}] -> Messages =:= 0;
      [{_, {gen, do_call, _}}, _] -> true; %% of a listener that gen_tcp has from the module socket
      _ -> false
    end
  end,
  Round = fun
    (_, []) -> [];
    (_, Left) ->
      timer:sleep(1), %% for those that are busy
      [Each || {Sup, Id, Pid} = Each <- Left, not (Waits(Pid) andalso supervisor:terminate_child(Sup, Id) =:= ok)]
  end,
  [supervisor:terminate_child(Sup, Id) || {Sup, Id, _} <- lists:foldl(Round, Running, lists:seq(1, 50))],
  ok.
