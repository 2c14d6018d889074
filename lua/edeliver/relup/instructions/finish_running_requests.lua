--- Waits a short time for the running http requests to end, and tells the rest that an upgrade starts.

local term = require "edeliver.relup.term"
local count = require "edeliver.relup.base.count"
local instruction = require "edeliver.relup.instruction"
local insert_instruction = require "edeliver.relup.insert_instruction"
local running_requests = require "edeliver.relup.step.running_requests"
local web = require "edeliver.relup.web"

-- `{Name, Ms}`; by hand the name alone will do.
local function patience_of(argument)
  local kind = term.kind(argument)
  return (kind == "tuple" or kind == "list") and argument[2] or running_requests.PATIENCE
end

-- One message to all of them, as a call that can be kept and made later.
local function telling(pids, text)
  local to, messages = {}, {}
  for i, pid in pids:iter() do to[i], messages[i] = pid, term.atom(text) end
  return { "lists", "zipwith", { term.export("erlang", "send", 2), to, messages } }
end

return instruction.define {
  name = "finish_running_requests",
  section = "suspend",
  order = {
    {
      after = "suspend_ranch_acceptors",
      because = "while acceptors run, new requests keep arriving and the waiting has no end",
    },
    {
      after = "suspend_channels",
      because = "channels may start requests, so they are suspended before the wait for requests",
    },
    { before = "install", because = "requests should end in the code that they began in" },
  },

  --- `{Name, 500}`: the application and how long to wait at most, in ms.
  arguments = function(instructions, config)
    return term.tuple { instruction.application_name(instructions, config), 500 }
  end,

  dependencies = function() return { "check_ranch_acceptors", "check_ranch_connections" } end,
  insert_where = function() return insert_instruction.append_after_point_of_no_return end,

  --- Waits as long as it has to for requests that `suspend_channels` has not waited for yet, and sends `upgrade_started` to
  -- those that run longer: they are sent `upgrade_finished` by `rerun_failed_requests`, or when the run fails.
  -- @param argument `{Name, Ms}`
  run = function(node, argument, ctx)
    if ctx.config.target == "none" then return "requests run on in the code that they began in, since nobody is suspended" end
    local site, message, code = web.known(node, ctx)
    if not site then return nil, message, code end
    local left, seen, took = running_requests.wait(node, ctx, site, patience_of(argument), ctx.requests_left)
    if not left then return nil, seen, took end
    ctx.requests_told = #left
    if #left > 0 then
      local told
      told, message, code = ctx:apply("requests",
        { { call = telling(left, "upgrade_started"), undo = telling(left, "upgrade_finished") } })
      if not told then return nil, message, code end
    end
    if seen == 0 and #left == 0 then return "no running requests" end
    local before = ctx.requests_left and #ctx.requests_left or 0
    return ("%s ended, %d still running%s"):format(count.of(math.max(seen + before - #left, 0), "request"), #left,
      #ctx:suspended() > 0 and ("; waited %.0f ms with sockets suspended"):format(took) or "")
  end,
}
