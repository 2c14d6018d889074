%% Holds a node for a rollout: ok, or `{busy, Who}` where another one has it. A process of its own, `edeliver_relup_rollout`, which ends with
%% the process Watched. It counts events of the logger that are errors or worse.
%%
%% It answers gen_server calls: who, `{rollout, Who}`; errors, how many there were since it began; leave, ok.
-module(hold_rollout).
-compile(nowarn_deprecated_catch).
-export([run/2]).

run(Watched, Who) ->
  Parent = self(),
  Name = edeliver_relup_rollout,
  Errors = counters:new(1, []),
  Count = fun(#{level := Level}, Counter) ->
    case lists:member(Level, [error, critical, alert, emergency]) of true -> counters:add(Counter, 1, 1); false -> ok end,
    ignore
  end,
  Loop = fun Loop(Ref) ->
    receive
      {'$gen_call', From, who} -> gen_server:reply(From, {rollout, Who}), Loop(Ref);
      {'$gen_call', From, errors} -> gen_server:reply(From, counters:get(Errors, 1)), Loop(Ref);
      {'$gen_call', From, leave} -> unregister(Name), gen_server:reply(From, ok);
      {'DOWN', Ref, process, _, _} -> ok;
      _ -> Loop(Ref)
    end
  end,
  {Holder, Monitor} = spawn_monitor(fun() ->
    group_leader(whereis(init), self()),
    case (catch register(Name, self())) of
      true ->
        %% One that was killed may have left its filter.
        _ = logger:remove_primary_filter(Name),
        _ = logger:add_primary_filter(Name, {Count, Errors}),
        Parent ! {self(), ok},
        Loop(monitor(process, Watched)),
        logger:remove_primary_filter(Name);
      _ ->
        Parent ! {self(), case (catch gen_server:call(Name, who, 5000)) of {rollout, Other} -> {busy, Other}; _ -> {busy, unknown} end}
    end
  end),
  receive
    {Holder, Answer} -> demonitor(Monitor, [flush]), Answer;
    {'DOWN', Monitor, process, Holder, _} -> {busy, unknown}
  end.
