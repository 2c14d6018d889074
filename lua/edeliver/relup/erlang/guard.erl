%% The guard: a process inside the node that undoes what an operator left behind. guard.lua starts it and speaks to it.
%%
%% No module: a sequence of expressions, parsed on the node and run by erl_eval, so that no code is loaded there. Bound from
%% outside: Token (a binary that only the operator's program knows), Operator (its pid), Who (a binary that names it to others),
%% Grace, Lease and Patience (ms). What is done for every process is left to compiled functions: 100,000 of them are no trouble.
%%
%% It answers gen_server calls:
%%   {Token, hello}                 {ok, self()} | {busy, who's answer}; without one it leaves after five seconds
%%   {Token, {suspend, Pids}}       ok: these are about to be sent a suspend
%%   {Token, {owed, Pids}}          ok: these, and no others, are still to be resumed
%%   {Token, {apply, [{Id, {M, F, A}}]}}   ok: calls that undo what is about to be done
%%   {Token, {undone, Id}}          ok
%%   {Token, {perform, {M, F, A}, Before, Within}} ok: makes the call, as next tells; of the relup's calls, the first Before
%%                                  stand before the point of no return, and the first Within before its last change
%%   {Token, {next, Id}}            waits for what comes after event Id: {Id + 1, {run, N, Name, Arguments}} | {_, {performed, Result}};
%%                                  {Id, idle} where nothing will
%%   {Token, {answer, N, Outcome}}  ok | cancelled | too_late: what the relup's call N came to, ok or {failed, Text}
%%   {Token, {back, Pid}}           ok | {lost, Text}: the operator has come back, under another pid
%%   {Token, undo}                  ok: has undone everything (see Lost), and leaves
%%   {Token, leave}                 ok: nothing is to be undone any more
%%   who                            {guard, Who, new | here | gone | lost, milliseconds until it undoes | undefined, pids, undos}
%%   undo                           ok | {busy, who's answer}: for recovery: the same, without waiting for an operator who is gone
%%   {run, Name, Arguments}         from the relup: what the operator's program made of it
process_flag(trap_exit, true),
process_flag(priority, high),
group_leader(whereis(init), self()),
Now = fun() -> erlang:monotonic_time(millisecond) end,

%% By a process of its own: a log that is stuck must not keep us from undoing.
Log = fun(Level, Format, Arguments) ->
    spawn(logger, log, [Level, "edeliver_relup: " ++ Format, Arguments])
end,

Owed = fun(#{pids := Lists}) -> lists:usort(lists:append(Lists)) end,

Describe = fun(#{status := Status, deadline := Deadline, undos := Undos} = S) ->
    Left = case Status of gone -> max(0, Deadline - Now()); _ -> undefined end,
    {guard, Who, Status, Left, length(Owed(S)), length(Undos)}
end,

%% Waits until so many messages lie in a mailbox.
Await = fun Await(Box, Count, Until) ->
    {message_queue_len, Length} = process_info(Box, message_queue_len),
    case Length >= Count orelse Now() > Until of
        true -> Length;
        false -> timer:sleep(5), Await(Box, Count, Until)
    end
end,

%% Of those that hibernate nothing tells it: they count as suspended.
Suspended = fun(Pids) ->
    Infos = lists:zipwith(fun erlang:process_info/2, Pids, lists:duplicate(length(Pids), current_function)),
    Sits = fun({current_function, {sys, suspend_loop, _}}) -> true;
              ({current_function, {sys, suspend_loop_hib, _}}) -> true;
              ({current_function, {erlang, hibernate, _}}) -> true;
              (_) -> false
           end,
    case lists:any(Sits, lists:usort(Infos)) of
        false -> [];
        true -> [Pid || {Pid, Info} <- lists:zip(Pids, Infos), Sits(Info)]
    end
end,

%% Asks all at once, as the relay does from outside; gives how many have answered.
Ask = fun([]) -> 0;
         (Pids) ->
    Box = spawn(timer, sleep, [infinity]),
    _ = lists:zipwith(fun erlang:send/2, Pids, lists:duplicate(length(Pids), {system, {Box, resumed}, resume})),
    Alive = length(lists:filter(fun erlang:is_process_alive/1, Pids)),
    Answered = Await(Box, Alive, Now() + 1000),
    exit(Box, kill),
    Answered
end,

%% A suspend that was under way when the connection broke may come after our resume: whoever sits there is asked again, each
%% time that we look.
Again = fun Again(_, 0) -> ok;
            Again(Pids, Rounds) -> timer:sleep(100), Ask(Suspended(Pids)), Again(Pids, Rounds - 1)
end,
Resume = fun([]) -> 0; (Pids) -> Answered = Ask(Pids), Again(Pids, 3), Answered end,

%% Makes a call that undoes something. It may never return: it gets five seconds.
Call = fun({M, F, A}) ->
    {Pid, Ref} = spawn_monitor(fun() -> exit({made, catch apply(M, F, A)}) end),
    receive {'DOWN', Ref, process, Pid, {made, Result}} -> Result; {'DOWN', Ref, process, Pid, Reason} -> {'EXIT', Reason}
    after 5000 -> demonitor(Ref, [flush]), exit(Pid, kill), timeout
    end
end,

%% Channels first, then whatever else was done, the last first.
Undo = fun(#{undos := Undos} = S, Why) ->
    Started = Now(),
    Pids = Owed(S),
    Answered = Resume(Pids),
    Results = [{Undone, Call(Undone)} || {_, Undone} <- Undos],
    Failed = [Each || {_, Result} = Each <- Results, Result =:= timeout orelse is_tuple(Result) andalso
                      element(1, Result) =:= 'EXIT' orelse is_tuple(Result) andalso element(1, Result) =:= error
                      andalso element(2, Result) =/= running],
    Log(warning, "~ts ~ts: resumed ~b processes (~b of them confirmed it), made ~b calls that undo things, in ~b ms~ts",
        [Who, Why, length(Pids), Answered, length(Undos), Now() - Started,
         case Failed of [] -> ""; _ -> io_lib:format("; these failed: ~0tp", [Failed]) end]),
    S#{pids := [], undos := []}
end,

Owes = fun(#{pids := Lists, undos := Undos}) -> Undos =/= [] orelse lists:any(fun(List) -> List =/= [] end, Lists) end,

Settle = fun(S, Why) -> case Owes(S) of true -> Undo(S, Why); false -> S end end,

%% The relup's call fails: its gen_server:call learns that we are gone, though we are not.
Fail = fun({Pid, Tag}, Reason) ->
    Ref = case Tag of [alias | Alias] -> Alias; _ -> Tag end,
    Pid ! {'DOWN', Ref, process, self(), {edeliver_relup, Reason}}
end,

%% Ends a call of the relup. Past the point of no return nothing may fail: the node would restart.
Answer = fun(From, _, ok) -> gen_server:reply(From, ok), ok;
            (From, true, {failed, Text}) -> Fail(From, Text), cancelled;
            (From, false, {failed, Text}) -> gen_server:reply(From, {error, Text}), too_late
         end,

Gone = {lost, <<"the guard undoes everything by itself">>},

%% Where the relup's next call stands in its script.
Place = fun(#{seen := Seen, before := Before}) when Seen < Before -> before;
           (#{seen := Seen, within := Within}) when Seen < Within -> within;
           (_) -> behind
        end,

%% Answers a call of the relup for want of an operator. Behind all that the install changes, everything is undone first: what the
%% relup does next may count on it.
Decline = fun(From, before, S) -> Answer(From, true, {failed, <<"the operator is gone">>}), S;
             (From, within, S) -> Answer(From, false, ok), S;
             (From, behind, #{why := Why} = S) -> Undone = Settle(S, Why), Answer(From, false, ok), Undone
          end,

%% Those that wait, too; and the operator's program, if it should be there after all.
Abandon = fun(#{calls := Calls, waiting := Waiting} = S) ->
    _ = [gen_server:reply(Waiting, Gone) || Waiting =/= none],
    Declined = lists:foldl(fun({From, At}, Sofar) -> Decline(From, At, Sofar) end, S, maps:values(Calls)),
    Declined#{calls := #{}, events := [], waiting := none}
end,

%% Gives the oldest event that was not seen yet to whoever waits for it.
Feed = fun(#{waiting := From, events := [Event | _]} = S) when From =/= none ->
               gen_server:reply(From, Event), S#{waiting := none};
          (S) -> S
       end,
Emit = fun(#{events := Events, last := Last} = S, Event) ->
    Feed(S#{events := Events ++ [{Last + 1, Event}], last := Last + 1})
end,

Perform = fun({M, F, A}) ->
    Guard = self(),
    spawn_monitor(fun() -> Guard ! {performed, self(), catch {value, apply(M, F, A)}} end)
end,

Here = fun(S) -> S#{status := here, heard := Now()} end,

Miss = fun(S, Why) ->
    Log(warning, "~ts ~ts; without a sign of it, all will be undone in ~b ms", [Who, Why, Grace]),
    S#{status := gone, deadline := Now() + Grace}
end,

%% What the operator's program asks for: {its answer or noreply, what we know then}.
Serve = fun(hello, _, S) -> {{ok, self()}, S};
           ({suspend, Pids}, _, #{pids := Lists} = S) -> {ok, S#{pids := [Pids | Lists]}};
           ({owed, Pids}, _, S) -> {ok, S#{pids := [Pids]}};
           ({apply, New}, _, #{undos := Undos} = S) -> {ok, S#{undos := lists:reverse(New, Undos)}};
           ({undone, Id}, _, #{undos := Undos} = S) -> {ok, S#{undos := lists:keydelete(Id, 1, Undos)}};
           ({perform, What, Before, Within}, _, #{performing := none} = S) ->
               {Pid, _} = Perform(What),
               {ok, S#{performing := Pid, before := Before, within := Within}};
           ({perform, _, _, _}, _, S) -> {{error, performing}, S};
           ({next, Seen}, From, #{events := Events, performing := Performing} = S) ->
               case lists:dropwhile(fun({Id, _}) -> Id =< Seen end, Events) of
                   [] when Performing =:= none -> {{Seen, idle}, S#{events := []}};
                   Unseen -> {noreply, Feed(S#{waiting := From, events := Unseen})}
               end;
           ({answer, Id, Outcome}, _, #{calls := Calls} = S) ->
               case Calls of
                   #{Id := {From, At}} -> {Answer(From, At =:= before, Outcome), S#{calls := maps:remove(Id, Calls)}};
                   _ -> {ok, S}
               end;
           ({back, Pid}, _, #{monitor := Ref} = S) ->
               demonitor(Ref, [flush]),
               {ok, S#{operator := Pid, monitor := monitor(process, Pid)}};
           (_, _, S) -> {{error, unknown}, S}
        end,

%% How long until something is due, however many messages come meanwhile.
Due = fun(#{status := Status, deadline := Deadline}) when Status =:= gone; Status =:= new -> max(0, Deadline - Now());
         (#{status := lost, deadline := Deadline} = S) ->
             case Owes(S) of true -> max(0, Deadline - Now()); false -> infinity end;
         (#{status := here, performing := Performing, probe_at := At} = S) ->
             case Performing =:= none andalso not Owes(S) of
                 true -> infinity;
                 false -> max(0, At - Now())
             end
      end,

Leave = fun(#{asking := Asking}) ->
    unregister(edeliver_relup),
    [gen_server:reply(From, ok) || From <- Asking]
end,

%% The operator will not come back: everything is undone. But not while the install runs: the release handler may have suspended
%% the same processes for their code_change, one resume undoes any number of suspends, and an install that fails over that
%% restarts the node. Then it is done when the install has ended, or after Patience. That is longer than phoenix.js waits for a
%% heartbeat (30 to 60 s): clients that give up connect again; a restart would cost the same sockets, and all others.
Lost = fun(#{performing := none} = S, Why) ->
               _ = [Log(notice, "~ts ~ts; nothing was left to undo", [Who, Why]) || not Owes(S)],
               (Settle(S, Why))#{status := lost};
          (S, Why) ->
               Log(warning, "~ts ~ts; all will be undone when its install has ended, in ~b ms at the latest", [Who, Why, Patience]),
               Abandon(S#{status := lost, why := Why, deadline := Now() + Patience})
       end,

Loop = fun Loop(#{status := lost, performing := none} = S) -> Leave(S);
           Loop(S) ->
    receive
        {'$gen_call', From, {Token, leave}} ->
            Free = S#{status := lost, pids := [], undos := []},
            case S of
                #{performing := none} -> Loop(Free#{asking := [From]});
                _ -> gen_server:reply(From, ok), Loop(Abandon(Free))
            end;
        {'$gen_call', From, {Token, undo}} when map_get(status, S) =/= lost ->
            Loop(Lost(S#{asking := [From]}, "could not undo everything itself"));
        {'$gen_call', From, {Token, Request}} ->
            case S of
                #{status := lost} ->
                    gen_server:reply(From, Gone), Loop(S);
                _ ->
                    {Reply, Next} = Serve(Request, From, Here(S)),
                    _ = [gen_server:reply(From, Reply) || Reply =/= noreply],
                    Loop(Next)
            end;
        {'$gen_call', From, {run, _, _}} when map_get(status, S) =:= lost ->
            Declined = Decline(From, Place(S), S),
            Loop(Declined#{seen := map_get(seen, S) + 1});
        {'$gen_call', From, {run, Name, Arguments}} ->
            #{seen := Seen, calls := Calls, last := Last} = S,
            Loop(Emit(S#{seen := Seen + 1, calls := Calls#{Last + 1 => {From, Place(S)}}}, {run, Last + 1, Name, Arguments}));
        {'$gen_call', From, who} -> gen_server:reply(From, Describe(S)), Loop(S);
        {'$gen_call', From, undo} when map_get(status, S) =:= gone ->
            Loop(Lost(S#{asking := [From]}, "is gone, and was not waited for"));
        {'$gen_call', From, undo} -> gen_server:reply(From, {busy, Describe(S)}), Loop(S);
        {'$gen_call', From, _} -> gen_server:reply(From, {error, unknown}), Loop(S);
        {performed, Pid, Result} when map_get(performing, S) =:= Pid ->
            case S of
                #{status := lost, why := Why} ->
                    Log(notice, "the call that ~ts had made ended: ~0tp", [Who, Result]),
                    Loop((Settle(S, Why))#{performing := none});
                _ -> Loop(Emit(S#{performing := none, seen := 0, before := infinity, within := infinity}, {performed, Result}))
            end;
        {'DOWN', _, process, Pid, Reason} when map_get(performing, S) =:= Pid ->
            self() ! {performed, Pid, {'EXIT', Reason}}, Loop(S);
        {'DOWN', Ref, process, _, _} when map_get(monitor, S) =:= Ref, map_get(status, S) =:= here ->
            Loop(Miss(S, "has lost its connection"));
        {probe, yes} when map_get(status, S) =/= lost -> Loop(Here(S));
        _ -> Loop(S)
    after Due(S) ->
        case S of
            #{status := new} -> Loop(S#{status := lost});
            #{status := gone} -> Loop(Lost(S, "did not come back"));
            #{status := lost, why := Why} -> Loop(Undo(S, [Why, ", and its install does not end"]));
            #{heard := Heard, operator := Pid} ->
                %% The operator's connection answers this by itself as long as its program looks after it.
                catch erlang:send({net_kernel, node(Pid)}, {'$gen_call', {self(), probe}, {is_auth, node()}}, [noconnect, nosuspend]),
                case Now() - Heard > Lease of
                    true -> Loop(Miss(S, "is connected and gives no sign of life"));
                    false -> Loop(S#{probe_at := Now() + max(1, Lease div 3)})
                end
        end
    end
end,

case catch register(edeliver_relup, self()) of
    true ->
        Loop(#{operator => Operator, monitor => monitor(process, Operator), status => new, deadline => Now() + 5000,
               heard => Now(), probe_at => Now(), pids => [], undos => [], events => [], last => 0, waiting => none,
               calls => #{}, performing => none, before => infinity, within => infinity, seen => 0, why => "", asking => []});
    _ ->
        First = catch gen_server:call(edeliver_relup, who, 2000),
        receive {'$gen_call', From, {Token, hello}} -> gen_server:reply(From, {busy, First}) after 5000 -> ok end
end.
