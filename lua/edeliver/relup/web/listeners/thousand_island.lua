--- ThousandIsland's servers, which Bandit runs on, seen from outside: 1.3 to 1.5.
--
-- A server supervises a listener and a pool of `acceptor-N` supervisors; each of those has one acceptor and one supervisor of the
-- connections that it accepted. Only supervisors are asked, and only for their children: the question kills a worker.
--
-- @module edeliver.relup.web.listeners.thousand_island

local kinds = require "edeliver.relup.web.listeners"
local shape = require "edeliver.relup.node.shape"
local supervisor = require "edeliver.relup.otp.supervisor"
local term = require "edeliver.relup.term"

local thousand_island = {}

local TIMEOUT = 30000 -- ms

thousand_island.not_accepting = "listener: it is suspended already (ThousandIsland.suspend)"

local POOL = shape.list(shape.tuple(shape.pid, shape.boolean, shape.any))
local SERVER = shape.tuple(shape.any, shape.boolean, POOL, shape.boolean)

--- Looks below listeners: `accepts`, `can_refuse` (whether it can suspend a server as a whole), `port`, `acceptor_sups` (a list
-- of `{ pid =, running = boolean }`), `connection_sups`.
-- @param node
-- @tparam table listeners a list of `{ ref =, pid = of the server }`
-- @return[1] true
-- @return[2] nil, message, code
function thousand_island.look_below(node, listeners)
  local servers = {}
  for i, listener in ipairs(listeners) do servers[i] = listener.pid end
  local answer, message, code = shape.expect(node, "what its servers are made of", shape.list(SERVER, #servers),
    node:run("thousand_island_servers", { Servers = servers }, TIMEOUT))
  if not answer then return nil, message, code end
  for i, row in ipairs(answer) do
    local listener = listeners[i]
    listener.port, listener.accepts = math.type(row[1]) == "integer" and row[1] or nil, row[2]
    listener.can_refuse = row[4]
    listener.acceptor_sups, listener.connection_sups = {}, {}
    for j, pair in ipairs(row[3]) do
      listener.acceptor_sups[j] = { pid = pair[1], running = pair[2] }
      if shape.pid(pair[3]) then table.insert(listener.connection_sups, pair[3]) end
    end
  end
  return true
end

thousand_island.resumed_by = "'Elixir.ThousandIsland':resume" -- what a person calls to let a listener listen again

--- The call that lets a suspended server listen again, and its acceptors run.
function thousand_island.resume(listener) return { "Elixir.ThousandIsland", "resume", { listener.pid } } end

-- Each supervisor has one acceptor, under this id.
local function ids_of(sups)
  local ids = {}
  for i = 1, #sups do ids[i] = term.atom "acceptor" end
  return ids
end

-- The acceptors of a listener, and what can be done to them.
local function pool_of(node, listener)
  local pool = { listener = listener, running = {}, stopped = {} }
  for _, sup in ipairs(listener.acceptor_sups) do table.insert(sup.running and pool.running or pool.stopped, sup.pid) end
  local running, stopped = ids_of(pool.running), ids_of(pool.stopped)
  pool.stop = {
    call = kinds.stop(node, pool.running, running),
    undo = supervisor.restart_children(node, pool.running, running),
  }
  pool.refuse = { call = { "Elixir.ThousandIsland", "suspend", { listener.pid } }, undo = thousand_island.resume(listener) }
  pool.restart = supervisor.restart_children(node, pool.stopped, stopped)
  return pool
end

--- The acceptors of listeners, as `look_below` found them; see `edeliver.relup.web.listeners.ranch.acceptors`. `running` and
-- `stopped` are the pids of the acceptors' supervisors.
function thousand_island.acceptors(node, listeners)
  local pools = {}
  for _, listener in ipairs(listeners) do
    if listener.accepts then pools[#pools + 1] = pool_of(node, listener) end
  end
  return pools
end

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
    node:run("thousand_island_connections", { Sups = sups }, TIMEOUT))
  if not answer then return nil, message, code end
  local all, problem, why = node:pids(answer[1])
  if not all then return nil, problem, why end
  return all, answer[2]
end

--- The requests that run on these http connections.
-- @return[1] a pid set of the processes that run them
-- @return[2] nil, message, code
function thousand_island.requests(node, connections)
  if #connections == 0 then return node:pids {} end
  local answer, message, code = shape.expect(node, "which requests run", shape.list(shape.pid),
    node:run("bandit_requests", { Pids = connections }, TIMEOUT))
  if not answer then return nil, message, code end
  return node:pids(answer)
end

return thousand_island
