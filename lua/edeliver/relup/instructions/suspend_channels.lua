--- Suspends the websockets of channels, so that no event is handled while code is exchanged; with `config.target = "channels"`
-- the channels behind them.

local bulk_result = require "edeliver.relup.node.bulk_result"
local count = require "edeliver.relup.base.count"
local instruction = require "edeliver.relup.instruction"
local insert_instruction = require "edeliver.relup.insert_instruction"
local running_requests = require "edeliver.relup.step.running_requests"
local web = require "edeliver.relup.web"

local TIMEOUT, ROUNDS = 1000, 20 -- ms; how often to look again before saying that there is no end to new ones

local NAMES = {
  transports = { "websocket" }, channels = { "channel" }, mixed = { "websocket or channel", "websockets and channels" },
}

-- What the answers to one round of suspends mean: how many are silent, or a failure.
local function judge(asked, answer, number, errors)
  if not answer then return nil, number, errors end
  local silent = #bulk_result.sort(asked, errors).silent
  if answer == "not_supported" and silent > 0 and silent == #asked then
    return nil, ("%s, and none answers sys messages, as those of Phoenix up to 1.3 don't: "
      .. 'config.target = "channels" suspends the channels behind them'):format(
      count.of(#asked, "websocket was asked", "websockets were asked")), "not_supported"
  end
  return silent
end

-- Suspends what turns up until nothing new does.
local function suspend_all(site, target, ctx)
  local asked, silent = 0, 0
  for _ = 1, ROUNDS do
    local new, message, code = site:new_targets(target, ctx:suspended())
    if not new then return nil, message, code end
    if #new == 0 then return asked, silent end
    asked = asked + #new
    local round
    round, message, code = judge(new, ctx:suspend(new, ctx.config.suspend_timeout or TIMEOUT))
    if not round then return nil, message, code end
    silent = silent + round
  end
  return nil, ("gave up after %d rounds: new websockets keep connecting. %s suspended"):format(
    ROUNDS, count.of(asked, "process was", "processes were")), "timeout"
end

-- Most requests end while sockets still run: then `finish_running_requests` has next to nothing to wait for. Gives what to say.
local function wait_before(node, ctx, site)
  if ctx.dry_run or not ctx.will_run "finish_running_requests" then return "" end
  local left, seen, took = running_requests.wait(node, ctx, site, running_requests.PATIENCE)
  if not left then return nil, seen, took end
  ctx.requests_left = left
  return seen > 0 and (", after a wait of %.0f ms for %s"):format(took, count.of(seen, "running request")) or ""
end

local suspend_channels = instruction.define {
  name = "suspend_channels",
  section = "suspend",
  dry_run = true, -- acts through ctx alone
  order = {
    {
      after = "suspend_ranch_acceptors",
      because = "while acceptors run, sockets keep connecting that are not suspended",
    },
    { before = "install", because = "no event may be handled by code that is being exchanged" },
  },
  arguments = instruction.application_name,
  dependencies = function() return { "check_ranch_acceptors", "check_ranch_connections" } end,
  insert_where = function() return insert_instruction.append_after_point_of_no_return end,

  --- Waits for running requests, where a later step would, suspends, and looks again until nobody new turns up. With
  -- `config.target = "none"` it suspends nobody, which the install refuses where a process has to be changed. A process that
  -- has died meanwhile is no failure; one that does not answer within `config.suspend_timeout` (1000 ms) is, but for as many as
  -- `config.tolerate` says (0).
  run = function(node, _, ctx)
    if ctx.config.target == "none" then return "nobody is suspended: code is loaded at once, and no process has to be changed" end
    local site, message, code = web.look(node, ctx)
    if not site then return nil, message, code end
    local missing = site:missing_connections()
    if missing then return nil, missing, "not_detected" end
    local before
    before, message, code = wait_before(node, ctx, site)
    if not before then return nil, message, code end
    local target
    target, message, code = site:target(ctx.config.target)
    if not target then return nil, message, code end
    if target ~= "channels" then
      local hidden
      hidden, message, code = site:hide(ctx)
      if not hidden then return nil, message, code end
    end
    local asked, silent, why = suspend_all(site, target, ctx)
    if not asked then return nil, silent, why end
    if silent > (ctx.config.tolerate or 0) then
      return nil, ("%d of %s did not answer within %s ms. config.tolerate is how many may be silent"):format(
        silent, count.of(asked, "process"), tostring(ctx.config.suspend_timeout or TIMEOUT)), "timeout"
    end
    return ("%s %s%s%s"):format(count.of(asked - silent, table.unpack(NAMES[target])),
      ctx.dry_run and "would be suspended" or "suspended", silent > 0 and (", %d silent"):format(silent) or "", before)
  end,
}

--- Suspends any processes, all at once, without remembering them.
-- @param node
-- @param pids
-- @tparam[opt=1000] number timeout ms
-- @return as `node:bulk_suspend`
function suspend_channels.bulk_suspend(node, pids, timeout) return node:bulk_suspend(pids, timeout or TIMEOUT) end

return suspend_channels
