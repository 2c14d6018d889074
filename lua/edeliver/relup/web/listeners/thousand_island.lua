--- ThousandIsland's servers, which Bandit runs on, seen from outside: 1.3 to 1.5.
--
-- A server supervises a listener and a pool of `acceptor-N` supervisors; each of those has one acceptor and one supervisor of the
-- connections that it accepted. Only supervisors are asked, and only for their children: the question kills a worker.
--
-- @module edeliver.relup.web.listeners.thousand_island

local shape = require "edeliver.relup.node.shape"
local supervisor = require "edeliver.relup.otp.supervisor"
local term = require "edeliver.relup.term"

local thousand_island = {}

local TIMEOUT = 30000 -- ms

-- Below servers: the port that each listens on (nothing is asked for it), whether it has a listener, who supervises what.
local BELOW = [[
  Port = fun(Pid) ->
    {links, Links} = process_info(Pid, links),
    case [N || P <- Links, is_port(P), {ok, {_, N}} <- [inet:sockname(P)], is_integer(N)] of
      [N | _] -> N;
      [] -> undefined
    end
  end,
  Child = fun(Id, Children) ->
    case lists:keyfind(Id, 1, Children) of {_, Pid, _, _} when is_pid(Pid) -> Pid; _ -> undefined end
  end,
  Pool = fun(undefined) -> [];
            (Pid) ->
              [begin
                 Children = supervisor:which_children(Sup),
                 {Sup, Child(acceptor, Children) =/= undefined, Child(connection_sup, Children)}
               end || {_, Sup, supervisor, _} <- supervisor:which_children(Pid), is_pid(Sup)]
         end,
  CanRefuse = erlang:function_exported('Elixir.ThousandIsland', suspend, 1),
  [begin
     Children = supervisor:which_children(Server),
     Listener = Child(listener, Children),
     {case Listener of undefined -> undefined; _ -> catch Port(Listener) end, Listener =/= undefined,
      Pool(Child(acceptor_pool_supervisor, Children)), CanRefuse}
   end || Server <- Servers].]]

local POOL = shape.list(shape.tuple(shape.pid, shape.boolean, shape.any))
local SERVER = shape.tuple(shape.any, shape.boolean, POOL, shape.boolean)

--- Looks below listeners: `port`, `listens`, `can_refuse` (whether it can suspend a server as a whole), `acceptor_sups` (a list
-- of `{ pid =, running = boolean }`), `connection_sups`.
-- @param node
-- @tparam table listeners a list of `{ ref =, pid = of the server }`
-- @return[1] true
-- @return[2] nil, message, code
function thousand_island.look_below(node, listeners)
  local servers = {}
  for i, listener in ipairs(listeners) do servers[i] = listener.pid end
  local answer, message, code = shape.expect(node, "what its servers are made of", shape.list(SERVER, #servers),
    node:eval(BELOW, { Servers = servers }, TIMEOUT))
  if not answer then return nil, message, code end
  for i, row in ipairs(answer) do
    local listener = listeners[i]
    listener.port, listener.listens = math.type(row[1]) == "integer" and row[1] or nil, row[2]
    listener.can_refuse = row[4]
    listener.acceptor_sups, listener.connection_sups = {}, {}
    for j, pair in ipairs(row[3]) do
      listener.acceptor_sups[j] = { pid = pair[1], running = pair[2] }
      if shape.pid(pair[3]) then table.insert(listener.connection_sups, pair[3]) end
    end
  end
  return true
end

--- The call that lets a suspended server listen again, and its acceptors run.
function thousand_island.resume(listener) return { "Elixir.ThousandIsland", "resume", { listener.pid } } end

-- Each supervisor has one acceptor, under this id.
local function ids_of(sups)
  local ids = {}
  for i = 1, #sups do ids[i] = term.atom "acceptor" end
  return ids
end

--- The acceptors of listeners, as `look_below` found them; see `edeliver.relup.web.ranch.acceptors`. `running` and `stopped` are
-- the pids of the acceptors' supervisors.
function thousand_island.acceptors(node, listeners)
  local pools = {}
  for i, listener in ipairs(listeners) do
    local pool = { listener = listener, running = {}, stopped = {} }
    for _, sup in ipairs(listener.acceptor_sups) do table.insert(sup.running and pool.running or pool.stopped, sup.pid) end
    local running, stopped = ids_of(pool.running), ids_of(pool.stopped)
    pool.stop = {
      call = supervisor.terminate_children(pool.running, running),
      undo = supervisor.restart_children(node, pool.running, running),
    }
    pool.refuse = { call = { "Elixir.ThousandIsland", "suspend", { listener.pid } }, undo = thousand_island.resume(listener) }
    pool.restart = supervisor.restart_children(node, pool.stopped, stopped)
    pools[i] = pool
  end
  return pools
end

-- All connections of these supervisors, and how many of them are not Bandit's.
local CONNECTIONS = [[
  Rows = lists:append(lists:map(fun supervisor:which_children/1, Sups)),
  All = ets:match_spec_run(Rows, ets:match_spec_compile([{{'_', '$1', worker, '_'}, [{is_pid, '$1'}], ['$1']}])),
  Known = ets:match_spec_run(Rows, ets:match_spec_compile(
    [{{'_', '$1', worker, ['Elixir.Bandit.DelegatingHandler']}, [{is_pid, '$1'}], [true]}])),
  {term_to_binary(All), length(All) - length(Known)}.]]

--- The connections of listeners, http and websocket alike, in one call.
-- @return[1] a pid set
-- @return[1] how many of them belong to another protocol than Bandit's
-- @return[2] nil, message, code
function thousand_island.connections(node, listeners)
  local sups = {}
  for _, listener in ipairs(listeners) do
    table.move(listener.connection_sups, 1, #listener.connection_sups, #sups + 1, sups)
  end
  if #sups == 0 then return node:pids {}, 0 end
  local answer, message, code = shape.expect(node, "which connections it has", shape.tuple(shape.binary, shape.integer),
    node:eval(CONNECTIONS, { Sups = sups }, TIMEOUT))
  if not answer then return nil, message, code end
  local all, problem, why = node:pids(answer[1])
  if not all then return nil, problem, why end
  return all, answer[2]
end

-- Who runs a request: http/1 connections do it themselves, http/2 connections in a linked process for each. Idle ones sit in
-- their loops; of the few others the whole stack is searched, on the node.
local REQUESTS = [[
  Idle = fun({gen_server, loop, _}) -> true; ({erlang, hibernate, _}) -> true; ({sys, _, _}) -> true; (_) -> false end,
  Running = fun(Pid) ->
    case process_info(Pid, backtrace) of
      {_, Stack} -> binary:match(Stack, <<"'Elixir.Bandit.Pipeline':run">>) =/= nomatch;
      undefined -> false
    end
  end,
  Busy = fun(Pids) ->
    [Pid || Pid <- Pids, {_, Function} <- [process_info(Pid, current_function)], not Idle(Function), Running(Pid)]
  end,
  Streams = [Link || Pid <- Pids, {links, Links} <- [process_info(Pid, links)], Link <- Links, is_pid(Link),
                     node(Link) =:= node(),
                     {_, Entries} <- [process_info(Link, dictionary)],
                     proplists:get_value('$initial_call', Entries) =:= {'Elixir.Bandit.HTTP2.StreamProcess', init, 1}],
  Busy(Pids) ++ Busy(Streams).]]

--- The requests that run on these http connections.
-- @return[1] a pid set of the processes that run them
-- @return[2] nil, message, code
function thousand_island.requests(node, connections)
  if #connections == 0 then return node:pids {} end
  local answer, message, code = shape.expect(node, "which requests run", shape.list(shape.pid),
    node:eval(REQUESTS, { Pids = connections }, TIMEOUT))
  if not answer then return nil, message, code end
  return node:pids(answer)
end

return thousand_island
