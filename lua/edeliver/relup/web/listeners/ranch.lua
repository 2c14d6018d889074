--- Ranch listeners, seen from outside: ranch 1.3 to 2.2, embedded in an application's tree or not.
--
-- Reads ranch's own books: its table of listeners, and what each connections supervisor keeps of its connections in its
-- dictionary (`{Pid, active}`, and `{Pid, removed}` once a websocket has left the count). So no connection is ever asked
-- anything, and it makes no difference whether one is busy, hibernates or is suspended. Knows no endpoints or channels.
--
-- @module edeliver.relup.web.listeners.ranch

local erlang = require "edeliver.relup.node.erlang"
local kinds = require "edeliver.relup.web.listeners"
local shape = require "edeliver.relup.node.shape"
local supervisor = require "edeliver.relup.otp.supervisor"
local term = require "edeliver.relup.term"

local ranch = {}

local atom = term.atom

ranch.not_accepting = "acceptors supervisor: it is suspended already (ranch:suspend_listener), or of an unknown kind"

local APPLICATION = shape.tuple(shape.is(atom "ok"), shape.atom)
local LISTENERS = shape.either(shape.is(atom "none"),
  shape.list(shape.tuple(shape.any, shape.pid, shape.any, shape.any, shape.list(shape.atom))))
local DETAIL = shape.tuple(shape.atom, shape.any)

--- Every ranch listener of the node.
-- @return[1] a list of `{ ref =, pid =, port = (nil while it does not listen), app = (nil where none), endpoint = (an atom,
-- where it belongs to a Phoenix endpoint) }`
-- @return[2] nil, message, code; "not_detected" where ranch does not run
function ranch.listeners(node)
  local answer, message, code = shape.expect(node, "which listeners ranch has", LISTENERS, node:run("ranch_listeners"))
  if not answer then return nil, message, code end
  if answer == atom "none" then return nil, ("ranch does not run on %s"):format(node.name), "not_detected" end
  local found = {}
  for i, row in ipairs(answer) do
    found[i] = {
      ref = row[1], pid = row[2], port = math.type(row[3]) == "integer" and row[3] or nil,
      app = APPLICATION(row[4]) and shape.to_text(row[4][2]) or nil, endpoint = row[5][1],
    }
  end
  return found
end

local function with_details(node, listeners)
  local refs, sups = {}, {}
  for i, listener in ipairs(listeners) do refs[i], sups[i] = listener.ref, listener.pid end
  local answer, message, code = shape.expect(node, "what its listeners speak",
    shape.tuple(shape.boolean, shape.list(DETAIL, #refs)), node:run("ranch_protocols", { Refs = refs, Supervisors = sups }))
  if not answer then return nil, message, code end
  for i, row in ipairs(answer[2]) do
    listeners[i].can_refuse = answer[1]
    listeners[i].protocol = shape.to_text(row[1])
    listeners[i].typed_supervisor = row[2] == atom "supervisor"
  end
  return true
end

-- Sorts the children of a listener's supervisor: who supervises acceptors, who connections.
local function sort_children(listener, children, above)
  for _, child in ipairs(children) do
    local module = child.modules[1]
    if module == "ranch_acceptors_sup" then
      listener.acceptors_sup = child.pid
    elseif module == "ranch_conns_sup" then
      listener.connection_sups = { child.pid }
    elseif module == "ranch_conns_sup_sup" and child.pid then
      above[#above + 1] = { listener = listener, pid = child.pid }
    end
  end
end

local function pids_of(items)
  local pids = {}
  for i, item in ipairs(items) do pids[i] = item.pid end
  return pids
end

--- Looks below listeners: `accepts`, `can_refuse` (whether this ranch can suspend a listener as a whole, as it can since 1.6),
-- `protocol`, `typed_supervisor` (whether connections are), `acceptors_sup`, `connection_sups`. What is missing stays nil.
-- @return[1] true
-- @return[2] nil, message, code
function ranch.look_below(node, listeners)
  local done, message, code = with_details(node, listeners)
  if not done then return nil, message, code end
  local below
  below, message, code = supervisor.which_children(node, pids_of(listeners))
  if not below then return nil, message, code end
  local above = {}
  for i, listener in ipairs(listeners) do
    listener.acceptors_sup, listener.connection_sups = nil, nil
    sort_children(listener, below[i], above)
    listener.accepts = listener.acceptors_sup ~= nil
  end
  below, message, code = supervisor.which_children(node, pids_of(above))
  if not below then return nil, message, code end
  for i, entry in ipairs(above) do
    local sups = {}
    for _, child in ipairs(below[i]) do sups[#sups + 1] = child.pid end
    entry.listener.connection_sups = sups
  end
  return true
end

ranch.resumed_by = "ranch:resume_listener" -- what a person calls for that

--- The call, `{ module, fun, arguments }`, that lets a suspended listener listen again, if it is still there.
function ranch.resume(listener) return erlang.expression("resume_ranch_listener", { Ref = listener.ref }) end

-- What can be done to a listener's acceptors: acts for `ctx:apply`, and a call.
local function with_acts(node, pool)
  local sups = {}
  for i = 1, math.max(#pool.running, #pool.stopped) do sups[i] = pool.supervisor end
  pool.stop = {
    call = kinds.stop(node, table.move(sups, 1, #pool.running, 1, {}), pool.running),
    undo = supervisor.restart_children(node, sups, pool.running),
  }
  pool.refuse = { call = { "ranch", "suspend_listener", { pool.listener.ref } }, undo = ranch.resume(pool.listener) }
  pool.restart = supervisor.restart_children(node, sups, pool.stopped)
end

--- The acceptors of listeners as they are now.
-- @return[1] a list of `{ listener =, supervisor = pid, running = ids, stopped = ids, stop =, refuse =, restart = }`, for each
-- listener that accepts. `stop` and `refuse` are acts for `ctx:apply`: terminate those that run, or
-- suspend the listener as a whole; `restart` is the call that restarts those that are stopped
-- @return[2] nil, message, code
function ranch.acceptors(node, listeners)
  local pools, sups = {}, {}
  for _, listener in ipairs(listeners) do
    if listener.acceptors_sup then
      pools[#pools + 1] = { listener = listener, supervisor = listener.acceptors_sup, running = {}, stopped = {} }
      sups[#sups + 1] = listener.acceptors_sup
    end
  end
  local below, message, code = supervisor.which_children(node, sups)
  if not below then return nil, message, code end
  for i, pool in ipairs(pools) do
    for _, child in ipairs(below[i]) do
      local ids = child.pid and pool.running or pool.stopped
      ids[#ids + 1] = child.id
    end
    with_acts(node, pool)
  end
  return pools
end

local DIED = shape.tuple(shape.is(atom "died"), shape.pid)
local BOOKS = shape.either(DIED, shape.tuple(shape.binary, shape.binary))

--- The connections of listeners, by ranch's books, in one call.
-- @return[1] the pid set of those that count as active: http connections
-- @return[1] the pid set of those that have left the count: websockets
-- @return[2] nil, message, code; "not_detected" where a listener has started anew since it was looked at
function ranch.connections(node, listeners)
  local sups = {}
  for _, listener in ipairs(listeners) do
    for _, pid in ipairs(listener.connection_sups or {}) do sups[#sups + 1] = pid end
  end
  local found, message, code = shape.expect(node, "which connections ranch has", BOOKS,
    node:run("ranch_connections", { Sups = sups }, 30000))
  if not found then return nil, message, code end
  if DIED(found) then
    return nil, ("%s, which supervised connections, has died: its listener has started anew"):format(tostring(found[2])),
      "not_detected"
  end
  local active, problem, why = node:pids(found[1])
  local removed
  if active then removed, problem, why = node:pids(found[2]) end
  if not removed then return nil, problem, why end
  return active, removed
end

return ranch
