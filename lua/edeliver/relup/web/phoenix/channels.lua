--- The channels of Phoenix endpoints, 1.4 to 1.8: one process for each topic that a websocket has joined, below the endpoint's
-- pools, and monitored by the websocket's process.
--
-- Knows no web server: it is given connections and says which of them have channels. What has to be done for each process is
-- done on the node, by compiled functions: only what stands out is looked at one by one, and little comes over the wire.
--
-- @module edeliver.relup.web.phoenix.channels

local shape = require "edeliver.relup.node.shape"

local channels = {}

local TIMEOUT = 30000 -- ms

-- Only ever asks children that are typed supervisor for theirs.
local FIND = [[
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
  term_to_binary(Below([Pid || {_, Pid, _, _} = Child <- Beside, IsPool(Child)], [])).]]

-- The connections without channels. Nearly all have a channel as the first that they monitor, or monitor nobody: compiled
-- functions tell those; only the rest is looked at one by one.
local WITHOUT = [[
  Infos = lists:zip(Pids, lists:zipwith(fun erlang:process_info/2, Pids, lists:duplicate(length(Pids), monitors))),
  Pick = fun(Spec) -> ets:match_spec_run(Infos, ets:match_spec_compile(Spec)) end,
  First = Pick([{{'_', {monitors, [{process, '$1'} | '_']}}, [{is_pid, '$1'}], ['$1']}]),
  None = Pick([{{'$1', undefined}, [], ['$1']}, {{'$1', {monitors, []}}, [], ['$1']}]),
  Others = ordsets:subtract(ordsets:from_list(First), ordsets:from_list(Channels)),
  term_to_binary(case Others =:= [] andalso length(First) + length(None) =:= length(Pids) of
    true -> None;
    false ->
      Known = maps:from_list(lists:zip(Channels, Channels)),
      IsChannel = fun({process, Pid}) -> is_map_key(Pid, Known); (_) -> false end,
      None ++ [Pid || {Pid, {monitors, [_ | _] = Monitors}} <- Infos, not lists:any(IsChannel, Monitors)]
  end).]]

--- All channel processes of endpoints.
-- @param node
-- @tparam table endpoints their registered names, as atoms
-- @return[1] a pid set
-- @return[2] nil, message, code
function channels.find(node, endpoints)
  local found, message, code = shape.expect(node, "which channels it has", shape.binary,
    node:eval(FIND, { Endpoints = endpoints }, TIMEOUT))
  if not found then return nil, message, code end
  return node:pids(found)
end

--- Which of these connections have channels. A process monitors its channel from the moment that a join starts until the channel
-- has ended, whatever else it does.
-- @param node
-- @param connections a pid set
-- @param found what `find` gave
-- @return[1] the pid set of those that have
-- @return[1] the pid set of those that have none, or are dead
-- @return[2] nil, message, code
function channels.of(node, connections, found)
  if #connections == 0 or #found == 0 then return node:pids {}, connections end
  local without, message, code = shape.expect(node, "which connections have no channel", shape.binary,
    node:eval(WITHOUT, { Pids = connections, Channels = found }, TIMEOUT))
  if not without then return nil, message, code end
  without, message, code = node:pids(without)
  if not without then return nil, message, code end
  return connections:minus(without), without
end

return channels
