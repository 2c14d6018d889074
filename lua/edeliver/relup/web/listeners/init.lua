--- What the listeners of all kinds have in common.
--
-- A kind is a module of this folder, with `look_below(node, listeners)`, which says of each whether it `accepts` and whether it
-- `can_refuse`; `acceptors(node, listeners)`, which gives a pool for each that accepts; `resume(listener)`, the call that lets a
-- suspended one accept again; and `not_accepting`, what one lacks then, in words. Knows no kind.
--
-- @module edeliver.relup.web.listeners

local count = require "edeliver.relup.base.count"
local term = require "edeliver.relup.term"

local listeners = {}

--- A listener in words.
function listeners.describe(listener)
  return ("%s (%s)"):format(term.format(listener.ref), listener.port and "port " .. listener.port or "not listening")
end

--- All of them in words.
function listeners.describe_all(found)
  local words = {}
  for i, listener in ipairs(found) do words[i] = listeners.describe(listener) end
  return table.concat(words, ", ")
end

--- How many acceptors of these pools run, and how many are stopped.
function listeners.count(pools)
  local running, stopped = 0, 0
  for _, pool in ipairs(pools) do running, stopped = running + #pool.running, stopped + #pool.stopped end
  return running, stopped
end

--- The call, `{ module, fun, arguments }`, that terminates acceptors and keeps their specifications: each while it waits for a
-- connection, so that it takes none along.
-- @param node
-- @tparam table supervisors for each acceptor, its supervisor's pid
-- @tparam table ids of the acceptors
function listeners.stop(node, supervisors, ids)
  return node:expression("stop_acceptors", { Sups = supervisors, Ids = ids })
end

--- What a run may have left at listeners: the restarts of their stopped acceptors, as undos for a ledger. Of listeners that are
-- suspended as a whole, which may have been anybody, it only warns.
-- @param kind
-- @param node
-- @tparam table found listeners of that kind
-- @tparam function log of level and text
-- @return[1] a list of `{ key = in words, undo = a call }`
-- @return[2] nil, message, code
function listeners.traces(kind, node, found, log)
  local looked, message, code = kind.look_below(node, found)
  if not looked then return nil, message, code end
  for _, listener in ipairs(found) do
    if not listener.accepts then
      log("warning", ("%s is suspended as a whole, and it is not known by which program. %s lets it accept again"):format(
        listeners.describe(listener), kind.resumed_by))
    end
  end
  local pools
  pools, message, code = kind.acceptors(node, found)
  if not pools then return nil, message, code end
  local undos = {}
  for _, pool in ipairs(pools) do
    if #pool.stopped > 0 then
      local key = ("%s of %s"):format(count.of(#pool.stopped, "acceptor"), listeners.describe(pool.listener))
      undos[#undos + 1] = { key = key, undo = pool.restart }
    end
  end
  return undos
end

return listeners
