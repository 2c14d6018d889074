--- Waits a short time for the running http requests to end, and tells the rest that an upgrade starts.

local term = require "edeliver.relup.term"
local count = require "edeliver.relup.base.count"
local instruction = require "edeliver.relup.instruction"
local insert_instruction = require "edeliver.relup.insert_instruction"
local watch = require "edeliver.relup.step.watch"
local web = require "edeliver.relup.web"

local PATIENCE, POLL = 500, 20 -- ms: for requests to end; between looks at them

-- `{Name, Ms}`; by hand the name alone will do.
local function patience_of(argument)
  local kind = term.kind(argument)
  return (kind == "tuple" or kind == "list") and argument[2] or PATIENCE
end

-- Which of these processes live.
local function living(node, pids)
  local alive, message, code = node:map("erlang", "is_process_alive", pids)
  if not alive then return nil, message, code end
  return pids:filter(function(_, i) return alive[i] end)
end

-- Waits until no request runs any more, or the time is up: those that are left, and how many there were.
local function wait(node, ctx, site, patience)
  local waited, seen = 0, 0
  local left, message, code = site:requests()
  while left and #left > 0 do
    seen = math.max(seen, #left)
    if waited >= patience then return left, seen end
    local pause = math.min(POLL, patience - waited)
    local slept, problem, why = node:sleep(pause)
    if not slept then return nil, problem, why end
    waited = waited + pause
    local fine, trouble, reason = watch.watch(node, ctx)
    if not fine then return nil, trouble, reason end
    left, message, code = living(node, left)
    -- On connections that live on, others may have begun.
    if left and #left == 0 then left, message, code = site:requests() end
  end
  if not left then return nil, message, code end
  return left, seen
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

  --- Waits as long as it has to, and sends `upgrade_started` to the requests that run longer: they are sent
  -- `upgrade_finished` by `rerun_failed_requests`, or when the run fails.
  -- @param argument `{Name, Ms}`
  run = function(node, argument, ctx)
    local site, message, code = web.known(node, ctx)
    if not site then return nil, message, code end
    local left, seen, why = wait(node, ctx, site, patience_of(argument))
    if not left then return nil, seen, why end
    ctx.requests_told = #left
    if #left > 0 then
      local told
      told, message, code = ctx:apply("requests",
        { { call = telling(left, "upgrade_started"), undo = telling(left, "upgrade_finished") } })
      if not told then return nil, message, code end
    end
    if seen == 0 then return "no running requests" end
    return ("%s ended, %d still running"):format(count.of(seen - #left, "request"), #left)
  end,
}
