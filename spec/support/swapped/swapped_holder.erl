%% Has a fun in some place, and calls it when it is asked to. It never changes.
-module(swapped_holder).
-export([start/2, call/1, release/1]).

start(Where, Fun) ->
    Self = self(),
    Pid = spawn(fun() -> hold(Where, Fun, Self) end),
    receive {Pid, held} -> Pid end.

call(Pid) -> ask(Pid, call).

release(Pid) -> ask(Pid, release).

ask(Pid, What) ->
    Ref = monitor(process, Pid),
    Pid ! {What, self(), Ref},
    receive {Ref, Answer} -> Answer; {'DOWN', Ref, process, Pid, Reason} -> {died, Reason} after 5000 -> timeout end.

hold(Where, Fun, Parent) ->
    Kept = keep(Where, Fun),
    Parent ! {self(), held},
    garbage_collect(),
    loop(Where, Kept).

keep(stack, Fun) -> Fun;
keep(state, Fun) -> #{handlers => [{on_event, Fun}]};
keep(dictionary, Fun) -> put(fun_of_mine, Fun), none;
keep(table, Fun) ->
    ets:new(swapped_handlers, [named_table, public]), ets:insert(swapped_handlers, {[a, event], Fun}), none;
keep(persistent_term, Fun) -> persistent_term:put(swapped_fun, Fun), none;
keep(mailbox, Fun) -> self() ! {kept, Fun}, none;
keep(timer, Fun) -> erlang:send_after(30000, self(), {kept, Fun}).

loop(Where, Kept) ->
    receive
        {call, From, Ref} -> From ! {Ref, catch (got(Where, Kept))()}, loop(Where, Kept);
        {release, From, Ref} ->
            Where =:= persistent_term andalso persistent_term:erase(swapped_fun),
            From ! {Ref, ok}
    end.

got(stack, Fun) -> Fun;
got(state, #{handlers := [{_, Fun}]}) -> Fun;
got(dictionary, _) -> get(fun_of_mine);
got(table, _) -> ets:lookup_element(swapped_handlers, [a, event], 2);
got(persistent_term, _) -> persistent_term:get(swapped_fun);
got(mailbox, _) -> receive {kept, Fun} -> self() ! {kept, Fun}, Fun end;
got(timer, Timer) -> erlang:cancel_timer(Timer), fun() -> {timer, 1} end.
