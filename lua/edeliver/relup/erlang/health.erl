%% How a node does, for a comparison with before: `{RunQueue, Messages, Memory, Restarted, Children}`: processes that wait for a
%% scheduler, messages in all mailboxes, bytes, how many children of Before are other processes now, and `[{{Supervisor, Id}, Pid}]` of
%% supervisors that list their children by name, which is the next one's Before.
-module(health).
-compile(nowarn_deprecated_catch).
-export([run/1]).

run(Before) ->
  Pids = processes(),
  Lengths = lists:filter(fun erlang:is_tuple/1,
                         lists:zipwith(fun erlang:process_info/2, Pids, lists:duplicate(length(Pids), message_queue_len))),
  {_, Counts} = lists:unzip(Lengths),
  Calls = lists:zip(lists:map(fun proc_lib:translate_initial_call/1, Pids), Pids),
  Supervisors = ets:match_spec_run(Calls, ets:match_spec_compile([{{{supervisor, '_', '_'}, '$1'}, [], ['$1']}])),
  Ask = fun(Pid, What) -> case (catch gen:call(Pid, '$gen_call', What, 1000)) of {ok, Answer} -> Answer; _ -> [] end end,
  Named = fun(Pid) ->
    %% One specification for many children: they come and go.
    Few = case Ask(Pid, count_children) of [_ | _] = Sums -> proplists:get_value(specs, Sums) > 1; _ -> false end,
    [{{Pid, Id}, Child} || Few, {Id, Child, _, _} <- Ask(Pid, which_children), is_pid(Child)]
  end,
  Children = maps:from_list(lists:append(lists:map(Named, Supervisors))),
  Restarted = [1 || {Key, Pid} <- Before, Now <- [maps:get(Key, Children, Pid)], Now =/= Pid],
  {erlang:statistics(run_queue), lists:sum(Counts), erlang:memory(total), length(Restarted), maps:to_list(Children)}.
