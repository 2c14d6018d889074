%% Children of supervisors whose code changes. OTP's code_change runs the new init and keeps what was there: nobody starts a new child,
%% and nobody ends one that init does not name any more. Here all of it is done by the supervisor itself, while it is suspended
%% (sys:replace_state), as it would do it when it runs: so children are linked to it, and nothing can come in between.
%%
%% #{peek => fun(Pid) -> {static, Module, Arguments} | dynamic | other | unknown,
%%   ids => fun(Module, Arguments) -> the ids that its init, as loaded now, names | unknown | no_init: it fails, as where it makes a table
%%     that is there (Phoenix.Tracker),
%%   change => fun(Pid, OldVsn, Extra, Ids | unknown | no_init, Going) -> {ok, Todo} | {error, Reason}: the new init; Going are modules that go,
%%   start => fun(Pid, Todo) -> {ok, Started} | {error, Reason}: the new children in order, all or none,
%%   take_back => fun(Pid, Started): ends what was started,
%%   restore => fun(Pid, State, Started): the state that it had, with what start had to end started anew,
%%   finish => fun(Pid, Todo): ends and deletes those that init names no more}
%% Ids of children that were added by hand (supervisor:start_child) are not among Ids, so these stay.
-module(supervised_children).
-export([run/1]).

run(Options) ->
  Timeout = maps:get(timeout, Options),
  %% Evaluated code may not say after: where its time is up while a message is looked at, the emulator crashes.
  Timer = fun(Ms) -> erlang:start_timer(Ms, self(), late) end,
  Over = fun(Ref) -> erlang:cancel_timer(Ref) =/= false orelse receive {timeout, Ref, late} -> ok after 0 -> ok end end,
  Links = fun(Pid) -> case process_info(Pid, links) of {links, All} -> [Each || Each <- All, is_pid(Each)]; _ -> [] end end,
  IsStatic = fun(State) ->
    is_tuple(State) andalso tuple_size(State) > 4 andalso element(1, State) =:= state andalso
      element(3, State) =/= simple_one_for_one andalso
      case element(4, State) of {Ids, Children} -> is_list(Ids) andalso is_map(Children); _ -> false end
  end,
  Peek = fun(Pid) ->
    Look = fun(State) ->
      throw({peeked, case IsStatic(State) of
        true -> Size = tuple_size(State), {static, element(Size - 1, State), element(Size, State)};
        false when element(1, State) =:= state -> dynamic;
        false -> other
      end})
    end,
    try sys:replace_state(Pid, Look, Timeout), unknown
    catch error:{callback_failed, _, {throw, {peeked, What}}} -> What; _:_ -> unknown
    end
  end,
  Ids = fun(Module, Arguments) ->
    {Pid, Ref} = spawn_monitor(fun() ->
      try Module:init(Arguments) of
        {ok, {_, Specs}} -> exit({ids, [case Spec of #{id := Id} -> Id; _ -> element(1, Spec) end || Spec <- Specs]})
      catch error:_ -> exit(no_init); throw:_ -> exit(unknown)
      end
    end),
    Late = Timer(Timeout),
    Found = receive
      {'DOWN', Ref, process, Pid, {ids, All}} -> All;
      {'DOWN', Ref, process, Pid, no_init} -> no_init;
      {'DOWN', Ref, process, Pid, _} -> unknown;
      {timeout, Late, late} -> exit(Pid, kill), demonitor(Ref, [flush]), unknown
    end,
    Over(Late),
    Found
  end,

  %% Does F(State) -> {Answer, NewState, Undo} in the supervisor: {ok, Answer}, or {error, Reason} and it has its old state. One that
  %% is late is given up, once and for all: what it was starting is killed, and it undoes what it has done.
  Inside = fun(Pid, F) ->
    Self = self(),
    Ref = make_ref(),
    Gate = atomics:new(1, []),
    Before = Links(Pid),
    Gated = fun(State) ->
      {Answer, New, Undo} = F(State),
      case atomics:compare_exchange(Gate, 1, 0, 1) of ok -> Self ! {Ref, Answer}, New; _ -> Undo(), State end
    end,
    Failed = try sys:replace_state(Pid, Gated, Timeout), none
             catch error:{callback_failed, _, {Class, Why}} -> {Class, Why};
                   exit:{noproc, _} -> noproc;
                   exit:{timeout, _} -> timeout;
                   _:Why -> Why
             end,
    case Failed =/= none andalso atomics:compare_exchange(Gate, 1, 0, 2) of
      ok when Failed =:= timeout ->
        Its = [New || New <- Links(Pid) -- Before, {dictionary, All} <- [process_info(New, dictionary)],
                      [Parent | _] <- [proplists:get_value('$ancestors', All)],
                      Parent =:= Pid orelse is_atom(Parent) andalso whereis(Parent) =:= Pid],
        %% The last one is the one that does not come to an end.
        Its =:= [] orelse exit(lists:max(Its), kill),
        {error, timeout};
      ok -> {error, Failed};
      %% It has answered, or is about to.
      _ ->
        Monitor = monitor(process, Pid),
        Got = receive {Ref, Answer} -> {ok, Answer}; {'DOWN', Monitor, process, Pid, _} -> {error, noproc} end,
        demonitor(Monitor, [flush]),
        Got
    end
  end,

  %% In the supervisor ----------------------------------------------------------------------------------------------------

  Start = fun(Child) ->
    {M, F, A} = element(4, Child),
    try apply(M, F, A) of
      {ok, Pid} when is_pid(Pid) -> {ok, Pid};
      {ok, Pid, _} when is_pid(Pid) -> {ok, Pid};
      ignore -> {ok, undefined};
      {error, Reason} -> {error, Reason};
      Other -> {error, Other}
    catch Class:Reason -> {error, {Class, Reason}}
    end
  end,
  End = fun(Child) ->
    case element(2, Child) of
      Pid when is_pid(Pid) ->
        Ref = monitor(process, Pid),
        unlink(Pid),
        receive {'EXIT', Pid, _} -> ok after 0 -> ok end,
        {Reason, Wait} = case element(tuple_size(Child) - 2, Child) of
          brutal_kill -> {kill, Timeout};
          infinity -> {shutdown, Timeout};
          Set -> {shutdown, min(Set, Timeout)}
        end,
        exit(Pid, Reason),
        Late = Timer(Wait),
        receive
          {'DOWN', Ref, process, Pid, _} -> ok;
          {timeout, Late, late} -> exit(Pid, kill), receive {'DOWN', Ref, process, Pid, _} -> ok end
        end,
        Over(Late);
      _ -> ok
    end
  end,
  Nothing = fun() -> ok end,
  Put = fun(State, Id, Child) -> {All, Children} = element(4, State), setelement(4, State, {All, Children#{Id => Child}}) end,
  Drop = fun(State, Gone) ->
    {All, Children} = element(4, State),
    setelement(4, State, {All -- Gone, maps:without(Gone, Children)})
  end,
  ChildOf = fun(State, Id) -> maps:get(Id, element(2, element(4, State)), none) end,
  Idle = fun(State, Stopped) ->
    lists:foldl(fun(Id, S) ->
      case ChildOf(S, Id) of none -> S; Child -> Put(S, Id, setelement(2, Child, undefined)) end
    end, State, Stopped)
  end,
  %% One of the children that go may have what a new one wants, as a name: then it goes first.
  InTheWay = fun(State, Pid, Leaving) ->
    [{Id, Child} || Id <- Leaving, Child <- [ChildOf(State, Id)], Child =/= none, element(2, Child) =:= Pid]
  end,

  Change = fun(Pid, OldVsn, Extra, Known, Going) ->
    Uses = fun(Child) -> lists:member(element(1, element(4, Child)), Going) end,
    Inside(Pid, fun(State) ->
      {OldIds, Old} = element(4, State),
      {ok, Changed} = supervisor:code_change(OldVsn, setelement(4, State, {[], #{}}), Extra),
      {NewIds, New} = element(4, Changed),
      Kept = [Id || Id <- OldIds, not is_map_key(Id, New)],
      Merged = maps:map(fun(Id, Child) ->
        case Old of #{Id := Was} -> setelement(2, Child, element(2, Was)); _ -> Child end
      end, New),
      Todo = #{
        new => [Id || Id <- lists:reverse(NewIds), not is_map_key(Id, Old)],
        %% Its id stays, but it runs a module that goes.
        replaced => [Id || Id <- NewIds, is_map_key(Id, Old), Uses(maps:get(Id, Old)), not Uses(maps:get(Id, New))],
        leaving => [Id || Id <- Kept, is_list(Known) andalso lists:member(Id, Known) orelse Uses(maps:get(Id, Old))]
      },
      {Todo, setelement(4, Changed, {Kept ++ NewIds, maps:merge(maps:with(Kept, Old), Merged)}), Nothing}
    end)
  end,
  %% Ended are [{Id, Child}] that had to go first, as they were; Made those that were started.
  StartAll = fun(Pid, #{new := New, replaced := Replaced, leaving := Leaving}) ->
    Each = fun Each([], State, Made, Ended) -> {ok, State, Made, Ended};
               Each([Id | Others] = All, State, Made, Ended) ->
      Child = ChildOf(State, Id),
      case Start(Child) of
        {ok, undefined} when element(5, Child) =:= temporary -> Each(Others, Drop(State, [Id]), Made, Ended);
        {ok, Started} ->
          Running = setelement(2, Child, Started),
          Each(Others, Put(State, Id, Running), [Running | Made], Ended);
        {error, {already_started, Other} = Reason} ->
          case InTheWay(State, Other, Leaving) of
            [{Goes, Was}] -> End(Was), Each(All, Drop(State, [Goes]), Made, [{Goes, Was} | Ended]);
            [] -> {failed, {Id, Reason}, Made, Ended}
          end;
        {error, Reason} -> {failed, {Id, Reason}, Made, Ended}
      end
    end,
    Answer = Inside(Pid, fun(State) ->
      Was = [{Id, ChildOf(State, Id)} || Id <- Replaced],
      [End(Child) || {_, Child} <- Was],
      case Each(lists:reverse(Replaced) ++ New, Idle(State, Replaced), [], Was) of
        {ok, Done, Made, Ended} ->
          %% For those that had to go it is as if they had died: the supervisor does what it does then.
          Undo = fun() ->
            [End(Child) || Child <- Made],
            [self() ! {'EXIT', element(2, Child), killed} || {_, Child} <- Ended]
          end,
          {{started, Made, Ended}, Done, Undo};
        {failed, Reason, Made, Ended} ->
          [End(Child) || Child <- Made],
          {{failed, Reason, Ended}, Idle(State, [Id || {Id, _} <- Ended]), Nothing}
      end
    end),
    case Answer of
      {ok, {started, Made, Ended}} -> {ok, #{made => Made, ended => Ended}};
      {ok, {failed, Reason, Ended}} -> {error, Reason, #{made => [], ended => Ended}};
      {error, Reason} -> {error, Reason, #{made => [], ended => []}}
    end
  end,
  #{
    peek => Peek,
    ids => Ids,
    change => Change,
    start => StartAll,
    take_back => fun(_, #{made := []}) -> ok;
                    (Pid, #{made := Made}) ->
      Inside(Pid, fun(State) -> [End(Child) || Child <- Made], {ok, Idle(State, [element(3, Child) || Child <- Made]), Nothing} end)
                 end,
    restore => fun(Pid, Before, #{ended := Ended}) ->
      Inside(Pid, fun(_) ->
        Again = fun({Id, Child}, State) ->
          case Start(Child) of
            {ok, Started} -> Put(State, Id, setelement(2, Child, Started));
            %% As if it had died just now: the supervisor does what it does then.
            {error, _} -> self() ! {'EXIT', element(2, Child), killed}, State
          end
        end,
        {ok, lists:foldl(Again, Before, lists:reverse(Ended)), Nothing}
      end)
    end,
    finish => fun(_, #{leaving := []}) -> ok;
                 (Pid, #{leaving := Leaving}) ->
      Inside(Pid, fun(State) ->
        [End(Child) || Id <- Leaving, Child <- [ChildOf(State, Id)], Child =/= none],
        {ok, Drop(State, Leaving), Nothing}
      end)
    end
  }.
