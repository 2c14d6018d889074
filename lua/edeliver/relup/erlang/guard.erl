%% The guard: a process inside the node that undoes what an operator left behind. guard.lua starts it and speaks to it.
%%
%% Token is a binary that only the operator's program knows, Operator its pid, Who (text) names it to others; Grace, Lease and
%% Patience are ms. What is done for every process is left to compiled functions: 100,000 of them are no trouble.
%%
%% No receive has a time of its own: timers send messages instead. Where such a time ends while erl_eval matches a message, and the
%% process has used up its turn, the emulator crashes, with the whole node (docs/internals/chaos.md).
%%
%% It answers gen_server calls. Those of the operator's program are {Token, Epoch, What}: Epoch begins with 0 and grows whenever it
%% comes back, and what it has asked for before is refused from then on, however late it arrives.
%%   hello                          {ok, self()} | {busy, who's answer}; without one it leaves after five seconds
%%   enter                          ok: the caller may act, and is killed before anything is undone; fails where it is too late
%%   {suspend, Pids}                ok: these are about to be sent a suspend
%%   {owed, Pids}                   ok: these, and no others, are still to be resumed
%%   {apply, [{Id, {M, F, A}}]}     ok: calls that undo what is about to be done
%%   {undone, Id}                   ok
%%   {perform, {M, F, A}, Before, Within}  ok: makes the call, as next tells; of the relup's calls the first Before stand
%%                                  before the point of no return, the first Within before its last change
%%   {next, Id}                     answers with the event after Id: {Id + 1, {run, N, Name, Arguments, Place}} |
%%                                  {_, {performed, Result}}; {Id, idle} where none will come. Place: before | within | behind
%%   {answer, N, Outcome}           ok | cancelled | too_late: what the relup's call N came to, ok or {failed, Text};
%%                                  or {strange, Text}: it was not the relup's, and does not count
%%   {back, Pid}                    ok | {lost, Text}: the operator has come back, under another pid
%%   undo                           ok: has undone everything (see Lost), and leaves; {failed, Pids, Undos}: how many are left
%%                                  after the first try; it tries again
%%   leave                          ok: nothing is to be undone any more
%% And those of others:
%%   who                            {guard, Who, new | here | gone | lost | retries, ms until it undoes | undefined, pids, undos}
%%   undo                           as an operator's, of a guard whose operator is gone | {busy, who's answer}
%%   give_up                        {left, Pids, [{M, F, A}]}: what it has tried to undo, and leaves | {busy, who's answer}
%%   {run, Name, Arguments}         from the relup: what the operator's program made of it
-module(guard).
-export([run/6]).
-compile(nowarn_deprecated_catch).

run(Grace, Lease, Operator, Patience, Token, Who) ->
process_flag(trap_exit, true),
group_leader(whereis(init), self()),
Now = fun() -> erlang:monotonic_time(millisecond) end,
Name = unicode:characters_to_binary(io_lib:format("~ts as ~ts", [Who, node(Operator)])),

%% Helpers --------------------------------------------------------------------------------------------------------------
%% All that undoing needs is there from the beginning: the node may have no room for a process when it is needed.

%% A log that is stuck must not keep us from undoing.
Logger = fun Logger() ->
    receive
        {Level, Format, Arguments} -> catch logger:log(Level, "edeliver_relup: " ++ Format, Arguments), Logger();
        leave -> ok
    end
end,

%% Of a file can be seen whether its undo is needed: it has the content already, which counts on a disk that has become read-only;
%% or neither it nor a place for it is there, as where its folder was removed. The files' server may be gone for a moment.
Make = fun({file, write_file, [Path, Content]}) ->
               Look = fun() -> case file:read_file(Path) of
                   {ok, Content} -> undone; {error, enoent} -> absent; {error, enotdir} -> absent; _ -> differs
               end end,
               try Look() =:= undone orelse file:write_file(Path, Content) of
                   {error, Reason} -> case Look() of differs -> {error, Reason}; _ -> ok end;
                   _ -> ok
               catch exit:Reason -> {error, Reason}
               end;
          ({M, F, A}) -> apply(M, F, A)
       end,
Worker = fun Worker() -> receive {make, From, Ref, What} -> From ! {made, Ref, catch Make(What)}, Worker() end end,
Hire = fun(Fun) -> try spawn_link(Fun) of Pid -> [Pid] catch error:system_limit -> [] end end,

Alarm = fun(Ms) -> erlang:start_timer(Ms, self(), late) end,

%% Waits for a process to end, for five seconds at most.
AwaitEnd = fun(Ref) ->
    Late = Alarm(5000),
    receive {'DOWN', Ref, process, _, _} -> ok; {timeout, Late, _} -> demonitor(Ref, [flush]) end,
    erlang:cancel_timer(Late)
end,

Log = fun(#{logger := To}, Level, Format, Arguments) -> To ! {Level, Format, Arguments} end,

%% What is owed -----------------------------------------------------------------------------------------------------------

Owed = fun(#{pids := Lists}) -> lists:usort(lists:append(Lists)) end,

Owes = fun(#{pids := Lists, undos := Undos}) -> Undos =/= [] orelse lists:any(fun(List) -> List =/= [] end, Lists) end,

Describe = fun(#{status := Status, deadline := Deadline, undos := Undos, performing := Performing} = S) ->
    Left = case Status of gone -> max(0, Deadline - Now()); _ -> undefined end,
    Shown = case Status =:= lost andalso Performing =:= none of true -> retries; false -> Status end,
    {guard, Name, Shown, Left, length(Owed(S)), length(Undos)}
end,

%% Waits until so many messages lie in a mailbox.
Await = fun Await(Box, Count, Until) ->
    case process_info(Box, message_queue_len) of
        {_, Length} when Length < Count ->
            case Now() > Until of true -> Length; false -> timer:sleep(5), Await(Box, Count, Until) end;
        {_, Length} -> Length;
        undefined -> 0
    end
end,

%% Those that are in one of these functions now.
In = fun(Pids, Functions) ->
    Infos = lists:zipwith(fun erlang:process_info/2, Pids, lists:duplicate(length(Pids), current_function)),
    Is = fun({current_function, {M, F, _}}) -> lists:member({M, F}, Functions); (_) -> false end,
    case lists:any(Is, lists:usort(Infos)) of
        false -> [];
        true -> [Pid || {Pid, Info} <- lists:zip(Pids, Infos), Is(Info)]
    end
end,
Suspended = fun(Pids) -> In(Pids, [{sys, suspend_loop}, {sys, suspend_loop_hib}]) end,

%% A process that hibernates does not show whether it is suspended: it counts as if it were.
PerhapsSuspended = fun(Pids) -> In(Pids, [{sys, suspend_loop}, {sys, suspend_loop_hib}, {erlang, hibernate}]) end,

%% Asks all at once, as the relay does from outside; gives how many have answered.
Ask = fun(_, []) -> 0;
         (Box, Pids) ->
    Before = Await(Box, 0, 0),
    _ = lists:zipwith(fun erlang:send/2, Pids, lists:duplicate(length(Pids), {system, {Box, resumed}, resume})),
    Alive = length(lists:filter(fun erlang:is_process_alive/1, Pids)),
    max(0, Await(Box, Before + Alive, Now() + 1000) - Before)
end,

%% Looks again, three times, and asks those again that are suspended then.
Again = fun Again(_, _, 0) -> ok;
            Again(Box, Pids, Rounds) -> timer:sleep(100), Ask(Box, PerhapsSuspended(Pids)), Again(Box, Pids, Rounds - 1)
end,

%% Makes a call that undoes something: {what it came to, the workers that are left}. It may never return: it gets five seconds.
Call = fun(_, []) -> {no_room, []};
          (What, [Worker1 | Spare] = Workers) ->
    Ref = monitor(process, Worker1),
    Late = Alarm(5000),
    Worker1 ! {make, self(), Ref, What},
    Outcome = receive
        {made, Ref, Result} -> demonitor(Ref, [flush]), {Result, Workers};
        {'DOWN', Ref, process, _, Reason} -> {{'EXIT', Reason}, Spare};
        {timeout, Late, _} -> demonitor(Ref, [flush]), exit(Worker1, kill), {timeout, Spare}
    end,
    erlang:cancel_timer(Late),
    Outcome
end,

%% What was to be undone may be gone, or be undone already: then nothing is left to do.
Worked = fun(timeout) -> false;
            (no_room) -> false;
            (error) -> false;
            ({error, running}) -> true;
            ({error, not_found}) -> true;
            ({error, _}) -> false;
            ({'EXIT', {noproc, _}}) -> true;
            ({'EXIT', _}) -> false;
            (_) -> true
         end,

%% Channels first, then what else was done, the last first. What failed stays owed, and is tried again.
Undo = fun(#{undos := Undos, box := Box, workers := Workers, tries := Tries} = S, Why) ->
    Started = Now(),
    Pids = Owed(S),
    Answered = Ask(Box, Pids),
    _ = [Again(Box, Pids, 3) || Pids =/= []],
    Silent = Suspended(Pids),
    Crew = case Workers of [] -> Hire(Worker); _ -> Workers end,
    {Failed, Left} = lists:foldl(fun({_, What} = Undone, {Sofar, Able}) ->
        {Result, StillAble} = Call(What, Able),
        case Worked(Result) of
            true -> {Sofar, StillAble};
            false -> {[{Undone, Result} | Sofar], StillAble}
        end
    end, {[], Crew}, Undos),
    Again1 = min(5000, 100 bsl min(Tries, 6)),
    Rest = case {Silent, Failed} of
        {[], []} -> "";
        _ -> io_lib:format("; ~b processes stay suspended, these calls failed: ~0tP; tries again", [length(Silent),
                 [{element(1, What), element(2, What), Result} || {{_, What}, Result} <- Failed], 40])
    end,
    _ = [Log(S, warning, "~ts ~ts: resumed ~b processes (~b of them confirmed it), made ~b calls that undo things, in ~b ms~ts",
            [Name, Why, length(Pids), Answered, length(Undos), Now() - Started, Rest])
         || Rest =:= "" orelse Tries =:= 0],
    S#{pids := [Silent], undos := lists:reverse([Undone || {Undone, _} <- Failed]), workers := Left, tries := Tries + 1,
       deadline := Now() + Again1}
end,

Settle = fun(S, Why) -> case Owes(S) of true -> Undo(S, Why); false -> S end end,

%% Who acts ---------------------------------------------------------------------------------------------------------------

%% A monitor of the operator. One of a node that is not connected would have net_kernel look for it, which cannot find it, and which
%% ends the node where there is no room for a process.
Watch = fun(Pid) ->
    case lists:member(node(Pid), nodes(connected)) of
        true -> monitor(process, Pid);
        false -> Ref = make_ref(), self() ! {'DOWN', Ref, process, Pid, noconnection}, Ref
    end
end,

%% What was sent over the operator's connection and has not arrived never will. Where its monitor has fired, that connection is gone
%% already; its node's name may be another's by now.
Cut = fun(none, _) -> ok;
         (Ref, Pid) ->
    receive {'DOWN', Ref, process, _, _} -> ok
    after 0 -> erlang:disconnect_node(node(Pid)), AwaitEnd(Ref)
    end
end,

%% Kills those that act right now; the status is lost from now on, so that no other may act.
Shut = fun(#{entered := Entered} = S) ->
    _ = [exit(Pid, kill) || Pid <- maps:values(Entered)],
    lists:foreach(AwaitEnd, maps:keys(Entered)),
    S#{entered := #{}, status := lost}
end,

%% Makes somebody's gen_server:call fail, as if we were gone.
Fail = fun({Pid, Tag}, Reason) ->
    Ref = case Tag of [alias | Alias] -> Alias; _ -> Tag end,
    Pid ! {'DOWN', Ref, process, self(), {edeliver_relup, Reason}}
end,

%% The relup's calls ------------------------------------------------------------------------------------------------------

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

%% Declines the relup's calls that are open; answers the operator's program, if it should be there after all.
Abandon = fun(#{calls := Calls, waiting := Waiting} = S) ->
    _ = [gen_server:reply(Waiting, Gone) || Waiting =/= none],
    Declined = lists:foldl(fun({From, At}, Sofar) -> Decline(From, At, Sofar) end, S, maps:values(Calls)),
    Declined#{calls := #{}, events := [], waiting := none}
end,

%% Gives the oldest event that was not seen yet to the operator's program, if that waits for one.
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

%% The operator ------------------------------------------------------------------------------------------------------------

Here = fun(S) -> S#{status := here, heard := Now()} end,

Miss = fun(S, Why) ->
    Log(S, warning, "~ts ~ts; without a sign of it, all will be undone in ~b ms", [Name, Why, Grace]),
    S#{status := gone, deadline := Now() + Grace}
end,

%% What the operator's program asks for: {its answer or noreply, what we know then}.
Serve = fun(hello, _, S) -> {{ok, self()}, S};
           ({suspend, Pids}, _, #{pids := Lists} = S) -> {ok, S#{pids := [Pids | Lists]}};
           ({owed, Pids}, _, S) -> {ok, S#{pids := [Pids]}};
           ({apply, New}, _, #{undos := Undos} = S) -> {ok, S#{undos := lists:reverse(New, Undos)}};
           ({undone, Id}, _, #{undos := Undos} = S) -> {ok, S#{undos := lists:keydelete(Id, 1, Undos)}};
           ({perform, What, Before, Within}, _, #{performing := none} = S) ->
               try Perform(What) of
                   {Pid, _} -> {ok, S#{performing := Pid, seen := 0, before := Before, within := Within}}
               catch error:Reason -> {{error, Reason}, S}
               end;
           ({perform, _, _, _}, _, S) -> {{error, performing}, S};
           ({next, Seen}, From, #{events := Events, performing := Performing} = S) ->
               case lists:dropwhile(fun({Id, _}) -> Id =< Seen end, Events) of
                   [] when Performing =:= none -> {{Seen, idle}, S#{events := []}};
                   Unseen -> {noreply, Feed(S#{waiting := From, events := Unseen})}
               end;
           ({answer, Id, Outcome}, _, #{calls := Calls, seen := Seen} = S) ->
               {Told, Counted} = case Outcome of {strange, Text} -> {{failed, Text}, max(0, Seen - 1)}; _ -> {Outcome, Seen} end,
               case Calls of
                   #{Id := {From, At}} ->
                       {Answer(From, At =:= before, Told), S#{calls := maps:remove(Id, Calls), seen := Counted}};
                   _ -> {ok, S}
               end;
           ({back, Pid}, _, #{monitor := Ref, operator := Former} = S) ->
               case node(Former) =:= node(Pid) of
                   true -> [demonitor(Ref, [flush]) || Ref =/= none];
                   false -> Cut(Ref, Former)
               end,
               {ok, S#{operator := Pid, monitor := Watch(Pid)}};
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

Leave = fun(#{asking := Asking, workers := Workers, box := Box, logger := To} = S) ->
    unregister(edeliver_relup),
    _ = [Log(S, warning, "~ts: what was left has been undone, with try ~b", [Name, Tries]) || #{tries := Tries} <- [S], Tries > 1],
    To ! leave,
    _ = [exit(Pid, kill) || Pid <- [Box | Workers]],
    _ = [gen_server:reply(From, ok) || From <- Asking],
    ok
end,

%% Answers those that asked us to undo: what the first try has left.
TellLeft = fun(#{asking := Asking, undos := Undos} = S) ->
    case Owes(S) of
        true -> _ = [gen_server:reply(From, {failed, length(Owed(S)), length(Undos)}) || From <- Asking], S#{asking := []};
        false -> S
    end
end,

%% The operator will not come back: everything is undone. But not while the install runs: the release handler may have suspended
%% the same processes for their code_change, one resume undoes any number of suspends, and an install that fails over that
%% restarts the node. Then it is done when the install has ended, or after Patience. That is longer than phoenix.js waits for a
%% heartbeat (30 to 60 s): clients that give up connect again; a restart would cost the same sockets, and all others.
Lost = fun(#{performing := none} = S, Why) ->
               _ = [Log(S, notice, "~ts ~ts; nothing was left to undo", [Name, Why]) || not Owes(S)],
               Settle((Shut(S))#{why := Why}, Why);
          (S, Why) ->
               Log(S, warning, "~ts ~ts; all will be undone when its install has ended, in ~b ms at the latest",
                   [Name, Why, Patience]),
               Abandon((Shut(S))#{why := Why, deadline := Now() + Patience})
       end,

%% The same where the operator has not asked for it: nothing of what it has sent may arrive any more.
GivenUp = fun(#{operator := Pid, monitor := Ref} = S, Why) -> Cut(Ref, Pid), Lost(S, Why) end,

%% Leaves where nothing is left to do; says whether that is so.
Ended = fun(#{status := lost, performing := none} = S) -> not Owes(S) andalso Leave(S) =:= ok; (_) -> false end,

%% What is due is done: the operator is asked for a sign of life, or counts as gone, or as lost; what is owed is undone.
Overdue = fun(#{status := new} = S) -> S#{status := lost};
             (#{status := gone} = S) -> GivenUp(S, "did not come back");
             (#{status := lost, performing := none, why := Why} = S) -> Undo(S, Why);
             (#{status := lost, why := Why} = S) -> Undo(S, [Why, ", and its install does not end"]);
             (#{heard := Heard, operator := Pid} = S) ->
    %% The operator's connection answers this by itself as long as its program looks after it.
    catch erlang:send({net_kernel, node(Pid)}, {'$gen_call', {self(), probe}, {is_auth, node()}}, [noconnect, nosuspend]),
    case Now() - Heard > Lease of
        true -> Miss(S, "is connected and gives no sign of life");
        false -> S#{probe_at := Now() + max(1, Lease div 3)}
    end
end,

%% How many messages may still come before what is due: those that are there already, as on a node that was frozen, where one may
%% be from an operator who is back. Not more of them, however many others send.
Turns = fun(#{turns := none} = S, 0) ->
                {_, Length} = process_info(self(), message_queue_len), S#{turns := min(Length, 1000)};
           (#{turns := Left} = S, 0) -> S#{turns := Left - 1};
           (#{turns := none} = S, _) -> S;
           (S, _) -> S#{turns := none}
        end,

%% The next message; Nothing where none came in time.
Nothing = make_ref(),
NextMessage = fun(infinity) -> receive Message -> Message end;
                 (0) -> receive Message -> Message after 0 -> Nothing end;
                 (Wait) ->
    Late = Alarm(Wait),
    Message = receive Any -> Any end,
    erlang:cancel_timer(Late),
    case Message of {timeout, Late, _} -> Nothing; _ -> Message end
end,

Loop = fun Loop(S0) ->
    Current = case S0 of #{status := lost, performing := none} -> TellLeft(S0); _ -> S0 end,
    case Ended(Current) of true -> ok; false ->
    Wait = Due(Current),
    #{epoch := Epoch} = S = Turns(Current, Wait),
    case S of #{turns := 0} -> Loop(Overdue(S#{turns := none})); _ ->
    case NextMessage(Wait) of
        Nothing -> Loop(Overdue(S#{turns := none}));
        {'$gen_call', From, {Token, Epoch, leave}} ->
            Free = S#{status := lost, pids := [], undos := []},
            case S of
                #{performing := none} -> Loop(Free#{asking := [From]});
                _ -> gen_server:reply(From, ok), Loop(Abandon(Free))
            end;
        {'$gen_call', {Pid, _} = From, {Token, Asked, enter}} ->
            case S of
                #{status := Status, entered := Entered} when Status =/= lost, Asked =:= Epoch ->
                    Ref = monitor(process, Pid),
                    gen_server:reply(From, ok),
                    Loop(S#{entered := Entered#{Ref => Pid}});
                _ -> Fail(From, shut), Loop(S)
            end;
        {'DOWN', Ref, process, _, _} when is_map_key(Ref, map_get(entered, S)) ->
            Loop(S#{entered := maps:remove(Ref, map_get(entered, S))});
        {'$gen_call', From, {Token, _, undo}} when map_get(status, S) =/= lost ->
            Loop(Lost(S#{asking := [From]}, "could not undo everything itself"));
        {'$gen_call', From, {Token, _, _}} when map_get(status, S) =:= lost ->
            gen_server:reply(From, Gone), Loop(S);
        {'$gen_call', From, {Token, New, {back, _} = Request}} when New > Epoch ->
            {Reply, Next} = Serve(Request, From, Here(S)),
            gen_server:reply(From, Reply),
            Loop(Next#{epoch := New});
        {'$gen_call', From, {Token, Epoch, Request}} ->
            {Reply, Next} = Serve(Request, From, Here(S)),
            _ = [gen_server:reply(From, Reply) || Reply =/= noreply],
            Loop(Next);
        {'$gen_call', From, {run, _, _}} when map_get(performing, S) =:= none ->
            Fail(From, <<"no install of this upgrade runs">>), Loop(S);
        {'$gen_call', From, {run, _, _}} when map_get(status, S) =:= lost ->
            Declined = Decline(From, Place(S), S),
            Loop(Declined#{seen := map_get(seen, S) + 1});
        {'$gen_call', From, {run, What, Arguments}} ->
            #{seen := Seen, calls := Calls, last := Last} = S,
            At = Place(S),
            Loop(Emit(S#{seen := Seen + 1, calls := Calls#{Last + 1 => {From, At}}}, {run, Last + 1, What, Arguments, At}));
        {'$gen_call', From, who} -> gen_server:reply(From, Describe(S)), Loop(S);
        {'$gen_call', From, undo} when map_get(status, S) =:= gone ->
            Loop(GivenUp(S#{asking := [From]}, "is gone: recovery does not wait for it"));
        {'$gen_call', From, undo} when map_get(status, S) =:= lost ->
            #{asking := Asking} = S,
            Loop(S#{asking := [From | Asking]});
        {'$gen_call', From, undo} -> gen_server:reply(From, {busy, Describe(S)}), Loop(S);
        {'$gen_call', From, give_up} ->
            case S of
                #{status := lost, performing := none, undos := Undos, tries := Tries} when Tries > 0 ->
                    Log(S, warning, "~ts: was asked to give up; left are ~b processes and ~b calls", [Name, length(Owed(S)),
                        length(Undos)]),
                    gen_server:reply(From, {left, Owed(S), [What || {_, What} <- Undos]}),
                    Loop(S#{pids := [], undos := [], tries := 0});
                _ -> gen_server:reply(From, {busy, Describe(S)}), Loop(S)
            end;
        {'$gen_call', From, _} -> gen_server:reply(From, {error, unknown}), Loop(S);
        {performed, Pid, Result} when map_get(performing, S) =:= Pid ->
            case S of
                #{status := lost, why := Why} ->
                    Log(S, notice, "the call that ~ts had made ended: ~0tp", [Name, Result]),
                    Loop((Settle(S, Why))#{performing := none});
                _ -> Loop(Emit(S#{performing := none, before := infinity, within := infinity}, {performed, Result}))
            end;
        {'DOWN', _, process, Pid, Reason} when map_get(performing, S) =:= Pid ->
            self() ! {performed, Pid, {'EXIT', Reason}}, Loop(S);
        {'DOWN', Ref, process, _, _} when map_get(monitor, S) =:= Ref ->
            Gone1 = S#{monitor := none},
            Loop(case S of #{status := here} -> Miss(Gone1, "has lost its connection"); _ -> Gone1 end);
        {probe, yes} when map_get(status, S) =/= lost -> Loop(Here(S));
        _ -> Loop(S)
    end
    end
    end
end,

case catch register(edeliver_relup, self()) of
    true ->
        [Box] = Hire(fun() -> timer:sleep(infinity) end),
        [To] = Hire(Logger),
        Loop(#{epoch => 0, operator => Operator, monitor => Watch(Operator), status => new, deadline => Now() + 5000,
               heard => Now(), probe_at => Now(), pids => [], undos => [], events => [], last => 0, waiting => none,
               calls => #{}, performing => none, before => infinity, within => infinity, seen => 0, why => "", asking => [],
               entered => #{}, tries => 0, turns => none, box => Box, logger => To, workers => Hire(Worker) ++ Hire(Worker)}),
        ok;
    _ ->
        First = (catch gen_server:call(edeliver_relup, who, 2000)),
        Late = Alarm(5000),
        receive {'$gen_call', From, {Token, _, hello}} -> gen_server:reply(From, {busy, First}); {timeout, Late, _} -> ok end
end.
