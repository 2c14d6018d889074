--- Accepts connections again: restarts the acceptors that were terminated.

local count = require "edeliver.relup.base.count"
local instruction = require "edeliver.relup.instruction"
local listeners = require "edeliver.relup.web.listeners"
local watch = require "edeliver.relup.step.watch"
local web = require "edeliver.relup.web"

local function call_all(node, calls)
  for _, call in ipairs(calls) do
    local answer, message, code = node:call(table.unpack(call))
    if answer == nil then return nil, message, code end
  end
  return true
end

-- By hand nothing is remembered: what is found stopped is started.
local function restart_found(node, site)
  local made, message, code = call_all(node, site:reopening())
  if not made then return nil, message, code end
  local pools
  pools, message, code = site:acceptors_again()
  if not pools then return nil, message, code end
  local restarts = {}
  for _, pool in ipairs(pools) do
    if #pool.stopped > 0 then restarts[#restarts + 1] = pool.restart end
  end
  return call_all(node, restarts)
end

-- The acceptors as they are now, and the site that they are of: one that is found anew where the listeners are gone that this
-- run has known, as they are after a restart of the application.
local function acceptors_now(node, ctx, site)
  local pools = site:acceptors_again()
  if pools then return pools, site end
  local found, message, code = web.look(node, ctx)
  if not found then return nil, message, code end
  pools, message, code = found:acceptors_again()
  if not pools then return nil, message, code end
  return pools, found
end

return instruction.define {
  name = "resume_ranch_acceptors",
  section = "resume",
  undoes = "suspend_ranch_acceptors",
  order = {
    { after = "install", because = "new connections must begin in the new code" },
    { after = "rerun_failed_requests", because = "what was suspended last is resumed first" },
    {
      after = "resume_channels",
      because = "else websockets that have just connected, and were never suspended, are resumed too",
    },
  },
  arguments = instruction.application_name,
  dependencies = function() return { "check_ranch_acceptors" } end,

  --- Restarts the acceptors that this run stopped (by hand: those that are found stopped), and sees that they run.
  run = function(node, _, ctx)
    local site, message, code = web.known(node, ctx)
    if not site then return nil, message, code end
    local done
    if ctx.by_hand then done, message, code = restart_found(node, site) else done, message, code = ctx:undo "acceptors" end
    if not done then return nil, message, code end
    local pools
    pools, site, code = acceptors_now(node, ctx, site)
    if not pools then return nil, site, code end
    local running, stopped = listeners.count(pools)
    if stopped > 0 or #pools < #site.listeners then
      return nil, ("%s: %s still stopped"):format(site:describe(), count.of(stopped, "acceptor is", "acceptors are")), "refused"
    end
    watch.accepting(ctx, true)
    return count.of(running, "acceptor is running", "acceptors are running")
  end,
}
