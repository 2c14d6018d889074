--- Stops accepting connections. Acceptors answer no sys messages, so they are terminated, to be restarted later: whoever
-- connects meanwhile queues in the listener's backlog. With `config.refuse` the listener itself is suspended: they are refused.

local instruction = require "edeliver.relup.instruction"
local insert_instruction = require "edeliver.relup.insert_instruction"
local web = require "edeliver.relup.web"

-- One act for each listener, and how many acceptors they stop.
local function stopping(pools, refuse)
  local acts, count = {}, 0
  for _, pool in ipairs(pools) do
    count = count + #pool.running
    if refuse or #pool.running > 0 then acts[#acts + 1] = refuse and pool.refuse or pool.stop end
  end
  return acts, count
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
    local site, message, code = web.look(node, ctx)
    if not site then return nil, message, code end
    local missing = site:missing_acceptors(ctx.config.refuse)
    if missing then return nil, missing, "not_detected" end
    local pools
    pools, message, code = site:acceptors()
    if not pools then return nil, message, code end
    local acts, count = stopping(pools, ctx.config.refuse)
    local done
    done, message, code = ctx:apply("acceptors", acts)
    if not done then return nil, message, code end
    if ctx.dry_run then return ("%d acceptors would be stopped"):format(count) end
    pools, message, code = site:acceptors_again()
    if not pools then return nil, message, code end
    for _, pool in ipairs(pools) do
      if #pool.running > 0 then
        return nil, ("%d acceptors of %s still run"):format(#pool.running, site:describe()), "refused"
      end
    end
    return ("%d acceptors stopped"):format(count)
  end,
}
