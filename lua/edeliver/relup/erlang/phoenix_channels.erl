%% The channels below these endpoints, as term_to_binary of their pids. Only children that are typed supervisor are asked for
%% theirs.
-module(phoenix_channels).
-export([run/1]).

run(Endpoints) ->
  IsPool = fun({Id, Pid, supervisor, Modules}) when is_pid(Pid) ->
                lists:any(fun(Name) ->
                  is_atom(Name) andalso lists:prefix("Elixir.Phoenix.Socket.PoolSupervisor", atom_to_list(Name))
                end, [Id | case is_list(Modules) of true -> Modules; false -> [] end]);
              (_) -> false
           end,
  Of = fun(Type) -> ets:match_spec_compile([{{'_', '$1', Type, '_'}, [{is_pid, '$1'}], ['$1']}]) end,
  Supervisors = Of(supervisor),
  Workers = Of(worker),
  Below = fun Below([], Found) -> Found;
              Below(Sups, Found) ->
                Children = lists:append(lists:map(fun supervisor:which_children/1, Sups)),
                Below(ets:match_spec_run(Children, Supervisors), ets:match_spec_run(Children, Workers) ++ Found)
          end,
  Beside = lists:append(lists:map(fun supervisor:which_children/1, Endpoints)),
  term_to_binary(Below([Pid || {_, Pid, _, _} = Child <- Beside, IsPool(Child)], [])).
