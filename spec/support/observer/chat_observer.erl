%% An observer on the node of a chat release: writes down, in the file that the environment variable CHAT_OBSERVED names, what
%% really happens there, for specs that hold an operator's report against it. It asks no process anything, so nothing that is
%% suspended holds it up, and starts none, so a full process table does not either. One line for each change:
%%
%%   start CREATION     the observer has begun, as it does whenever the node starts
%%   mark NAME          a spec begins to look (mark/1); what was asked for is counted anew
%%   suspended N        so many processes sit in sys:suspend_loop
%%   acceptors N        so many of ranch's acceptors run
%%   code VERSION       this version of the application's code is loaded
%%   asked N            since the mark, so many processes were sent a suspend by others than the release handler
%%   guard yes | no     whether a guard is registered
-module(chat_observer).
-export([start/0, mark/1, catch_up/0, fill/1, leave/0, hibernate/0, wake/0]).

-define(EVERY, 8). % ms

%% Called by init, at the end of the boot.
start() ->
    Starter = self(),
    spawn(fun() ->
        process_flag(priority, high),
        register(?MODULE, self()),
        erlang:trace_pattern('receive', [{['_', '_', {system, '_', suspend}], [], []}], []),
        erlang:trace(all, true, ['receive']),
        {ok, File} = file:open(os:getenv("CHAT_OBSERVED"), [raw, append]),
        write(File, ["start ", integer_to_list(erlang:system_info(creation))]),
        Starter ! ready,
        loop(#{file => File, asked => #{}, seen => #{}})
    end),
    receive ready -> ok end.

%% Writes down how things are now, in any case.
mark(Name) ->
    Ref = make_ref(),
    ?MODULE ! {mark, Name, self(), Ref},
    receive Ref -> ok after 5000 -> timeout end.

%% Looks once more now.
catch_up() ->
    Ref = make_ref(),
    ?MODULE ! {look, self(), Ref},
    receive Ref -> ok after 10000 -> timeout end.

%% Fills the process table, for so many ms; returns when it is full. Whatever slot becomes free is taken again.
fill(Ms) ->
    Self = self(),
    Filler = spawn(fun() ->
        process_flag(priority, max),
        register(chat_filler, self()),
        Timer = erlang:send_after(Ms, self(), leave),
        First = take([]),
        Self ! {full, self()},
        Taken = keep(First),
        erlang:cancel_timer(Timer),
        [exit(Pid, kill) || Pid <- Taken]
    end),
    receive {full, Filler} -> ok after 5000 -> timeout end.

%% Ends that at once.
leave() -> catch chat_filler ! leave, ok.

%% A process that hibernates and answers no sys messages, until it is woken by wake/0.
hibernate() ->
    receive wake -> ok after 0 -> drop(), erlang:hibernate(?MODULE, hibernate, []) end.

drop() -> receive Message when Message =/= wake -> drop() after 0 -> ok end.

wake() ->
    [Pid ! wake || Pid <- processes(), {_, {erlang, hibernate, _}} <- [process_info(Pid, current_function)]],
    ok.

take(Taken) ->
    try spawn(fun() -> receive never -> ok end end) of
        Pid -> take([Pid | Taken])
    catch
        error:system_limit -> Taken
    end.

keep(Taken) -> receive leave -> Taken after 5 -> keep(take(Taken)) end.

write(File, Line) ->
    ok = file:write(File, [integer_to_list(erlang:system_time(millisecond)), " ", Line, "\n"]).

loop(#{file := File} = S) ->
    receive
        {trace, Pid, 'receive', {system, From, suspend}} ->
            loop(asked(Pid, From, S));
        {mark, Name, Pid, Ref} ->
            write(File, ["mark ", Name]),
            Marked = look(S#{asked := #{}, seen := #{}}),
            Pid ! Ref,
            loop(Marked);
        {look, Pid, Ref} ->
            Looked = look(S),
            Pid ! Ref,
            loop(Looked);
        _ ->
            loop(S)
    after ?EVERY ->
        loop(look(S))
    end.

asked(Pid, {Sender, _}, #{asked := Asked} = S) ->
    case whereis(release_handler) of
        Sender -> S;
        _ -> S#{asked := Asked#{Pid => true}}
    end;
asked(_, _, S) -> S.

look(#{asked := Asked} = S) ->
    {Suspended, Acceptors} = count(processes(), 0, 0),
    Now = [{"suspended", integer_to_list(Suspended)}, {"acceptors", integer_to_list(Acceptors)}, {"code", version()},
           {"asked", integer_to_list(maps:size(Asked))},
           {"guard", case whereis(edeliver_relup) of undefined -> "no"; _ -> "yes" end}],
    lists:foldl(fun tell/2, S, Now).

tell({Name, Value}, #{file := File, seen := Seen} = S) ->
    case Seen of
        #{Name := Value} -> S;
        _ -> write(File, [Name, " ", Value]), S#{seen := Seen#{Name => Value}}
    end.

count([], Suspended, Acceptors) -> {Suspended, Acceptors};
count([Pid | Rest], Suspended, Acceptors) ->
    case process_info(Pid, [current_function, initial_call]) of
        [{_, {sys, F, _}}, _] when F =:= suspend_loop; F =:= suspend_loop_hib -> count(Rest, Suspended + 1, Acceptors);
        [_, {_, {ranch_acceptor, _, _}}] -> count(Rest, Suspended, Acceptors + 1);
        _ -> count(Rest, Suspended, Acceptors)
    end.

%% Of the code itself, which asks no server. In the middle of loading it may be missing.
version() ->
    try element(2, 'Elixir.Chat.RoomChannel':handle_call(version, none, none)) catch _:_ -> "none" end.
