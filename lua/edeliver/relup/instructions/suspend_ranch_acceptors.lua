--- Stops accepting connections. Acceptors answer no sys messages, so they are terminated, to be restarted later: whoever
-- connects meanwhile queues in the listener's backlog. With `config.refuse` the listener itself is suspended: they are refused.

local count = require "edeliver.relup.base.count"
local instruction = require "edeliver.relup.instruction"
local insert_instruction = require "edeliver.relup.insert_instruction"
local listeners = require "edeliver.relup.web.listeners"
local watch = require "edeliver.relup.step.watch"
local web = require "edeliver.relup.web"

-- One act for each listener.
local function stopping(pools, refuse)
  local acts = {}
  for _, pool in ipairs(pools) do
    if refuse or #pool.running > 0 then acts[#acts + 1] = refuse and pool.refuse or pool.stop end
  end
  return acts
end

return instruction.define {
  name = "suspend_ranch_acceptors",
  section = "suspend",
  dry_run = true, -- acts through ctx alone
  order = {
    { before = "install", because = "no new connection may run into code that is being exchanged" },
  },
  arguments = instruction.application_name,
  dependencies = function() return { "check_ranch_acceptors" } end,
  insert_where = function() return insert_instruction.append_after_point_of_no_return end,

  --- Looks for the acceptors again, stops them, and sees that they have stopped.
  run = function(node, _, ctx)
    if ctx.config.target == "none" then return "acceptors run on, since nobody is suspended" end
    local site, pools, why = web.look_for_acceptors(node, ctx)
    if not site then return nil, pools, why end
    local stopped = count.of(listeners.count(pools), "acceptor")
    local done, message, code = ctx:apply("acceptors", stopping(pools, ctx.config.refuse))
    if not done then return nil, message, code end
    if ctx.dry_run then return stopped .. " would be stopped" end
    if site.endpoints then watch.accepting(ctx, false) end
    pools, message, code = site:acceptors_again()
    if not pools then return nil, message, code end
    local running = listeners.count(pools)
    if running == 0 then return stopped .. " stopped" end
    return nil, ("%s: %s still running"):format(site:describe(), count.of(running, "acceptor is", "acceptors are")), "refused"
  end,
}
