--- What an install came to: the version that runs, and who of the suspended still is; or how it failed, and whether the node
-- restarted.
--
-- Also of one that ended after its run. Asks the node, and installs nothing.
--
-- @module edeliver.relup.step.install_outcome

local core = require "edeliver.relup.core"
local release_handler = require "edeliver.relup.otp.release_handler"
local term = require "edeliver.relup.term"

local install_outcome = {}

local CHECK_TIMEOUT, RESTART_TIMEOUT, LOOK_EVERY = 60000, 20000, 250 -- ms

-- A failure past the point of no return is answered like any other, and then the node restarts: it has begun to by the time
-- that release_handler answers the next question.
local function is_restarting(node)
  if not release_handler.which_releases(node) then return true end
  local status = node:call("init", "get_status", {})
  return status == nil or term.kind(status) == "tuple" and status[1] == term.atom "stopping"
end

-- Waits until a node that went down is up again, or can be reached; gives the version that it runs, or nil.
local function running_after_restart(node)
  local deadline = core.now() + RESTART_TIMEOUT
  repeat
    if node:reconnect() and not is_restarting(node) then
      local releases = release_handler.which_releases(node)
      local now = releases and release_handler.running(releases)
      if now then return now.version end
    end
    core.sleep(LOOK_EVERY)
  until core.now() > deadline or core.take_signal() -- where a run that ends holds them back
end

-- Looks what the node runs after the connection was lost in the middle, or the node went down.
local function after_loss(node, ctx, message)
  local version, now = ctx.config.version, running_after_restart(node)
  if not now then
    return nil, ("%s cannot be reached since %s was being installed: look whether it runs, and at its log (%s)"):format(
      node.name, version, message), "nodedown"
  end
  if ctx.restarted() then
    return nil, ("%s restarted while %s was installed, and runs %s now. A failure behind the point of no return makes a node "
      .. "restart into the release that it had; its log says what failed (%s)"):format(node.name, version, now, message),
      "restarted"
  end
  return nil, ("the connection to %s was lost while %s was being installed: the node did not restart, and runs %s now (%s)")
    :format(node.name, version, now, message), "nodedown"
end

-- Looks again at everybody who was suspended: the relup may have resumed them, some have died, others came meanwhile.
local function look_again(node, ctx)
  local before = ctx:suspended()
  if #before == 0 then return nil end
  local sitting, sleeping = node:suspended(before)
  if not sitting then return nil end
  local alive = node:map("erlang", "is_process_alive", before)
  if not alive then return nil end
  local died, still, new = 0, #sitting:plus(sleeping), 0
  for _, is_alive in ipairs(alive) do
    if not is_alive then died = died + 1 end
  end
  local site = ctx.site
  local target = site and site:target(ctx.config.target)
  local found = target and site:new_targets(target, before)
  if found then new = #found end
  return { still = still, woken = #before - still - died, died = died, new = new }
end

local function describe_look(seen)
  local words = {}
  if seen.woken > 0 then words[#words + 1] = ("%d were woken by the relup itself"):format(seen.woken) end
  if seen.died > 0 then words[#words + 1] = ("%d died"):format(seen.died) end
  if seen.new > 0 then words[#words + 1] = ("%d are new and were never suspended"):format(seen.new) end
  if #words == 0 then return "" end
  return ("; of the suspended, %d still are, %s"):format(seen.still, table.concat(words, ", "))
end

-- Whether the version runs now: an install may say otherwise of itself, or its answer be lost.
local function confirm(node, version, answered)
  local releases, message, code = release_handler.which_releases(node, CHECK_TIMEOUT)
  if not releases then return nil, message, code end
  local now = release_handler.running(releases)
  if now and now.version == version then return true end
  local runs = now and now.version or "nothing"
  local words = answered and "release_handler says that it has installed %s, but %s runs %s"
    or "The answer of install_release is lost. %s was not installed: %s runs %s"
  return nil, words:format(version, node.name, runs), "refused"
end

--- Codes that leave it open what becomes of the install: the run looks again when it has ended.
install_outcome.UNCLEAR = { interrupted = true, timeout = true, guard_lost = true, guard_gone = true }

-- What became of an install that failed under our hands.
local function explain_failure(node, version, message, code, ctx)
  if code == "idle" then return confirm(node, version) end
  -- The guard was killed: release_handler still does what it was asked for, and answers when it has finished. Where the relup
  -- calls for steps, those behind were not run: that is no success.
  if code == "guard_gone" and not ctx.place and node:is_open() and confirm(node, version) then
    ctx:log("warning", "the guard was lost while the release was installed: " .. message)
    return true
  end
  -- A lost connection that cannot be opened again has other codes.
  local lost = code == "nodedown" or code ~= "interrupted" and not node:is_open()
  if lost or code == "refused" and is_restarting(node) then return after_loss(node, ctx, message) end
  if code == "timeout" then
    message = message .. ": the node may still be at it; its release_handler answers when it has finished"
  end
  return nil, ("install_release of %s: %s"):format(version, message), code
end

--- Says what an install came to, and looks again at everybody who was suspended.
-- @param node
-- @param ctx
-- @string before the version that ran
-- @param from and the others: what `release_handler.install_release` gave
-- @return[1] what was done, in words
-- @return[2] nil, message, code
function install_outcome.tell(node, ctx, before, from, how, code)
  local version = ctx.config.version
  if not from then
    local done, message, why = explain_failure(node, version, how, code, ctx)
    if not done then return nil, message, why end
  end
  if ctx.relup and ctx.relup.restart then return install_outcome.after_restart(node, ctx, before) end
  local done, message, why = confirm(node, version, from ~= nil)
  if not done then return nil, message, why end
  local seen = look_again(node, ctx)
  ctx.after_install = seen
  -- Not what release_handler answers: on the way down that is the version that runs now.
  return ("%s -> %s%s"):format(before, version, seen and describe_look(seen) or "")
end

--- Says what became of a node whose emulator restarts for the install, as it was asked to. What was suspended is gone with it.
-- @param node
-- @param ctx
-- @string before the version that ran
-- @return[1] what was done, in words
-- @return[2] nil, message, code
function install_outcome.after_restart(node, ctx, before)
  local version = ctx.config.version
  local now = running_after_restart(node)
  if not ctx.restarted() then ctx.ledger:forget() end
  if not now then
    return nil, ("%s restarts its emulator to install %s, and has not come back after %d s: look at its log, and at heart")
      :format(node.name, version, RESTART_TIMEOUT // 1000), "nodedown"
  end
  if now ~= version then
    return nil, ("%s restarted its emulator to install %s, and runs %s now: its log says why"):format(node.name, version, now),
      "restarted"
  end
  ctx.new_emulator = true
  return ("%s -> %s, in a new emulator: every connection was lost, as was asked for"):format(before, version)
end

--- An install that may not have ended when its run does, as `undo.call_in_flight` takes it.
function install_outcome.pending(node, ctx, before)
  local version = ctx.config.version
  return {
    title = "the install",
    probe = function(deadline, stop)
      local request = node:request("release_handler", "which_releases", {})
      if not request then return true end
      local answer, _, code = node:await(request, math.max(0, deadline - core.now()), stop)
      return answer ~= nil or code ~= "timeout"
    end,
    tell = function(...)
      local answer = table.pack(...)
      local answered = { name = node.name, call = function() return table.unpack(answer, 1, answer.n) end }
      return install_outcome.tell(node, ctx, before, release_handler.install_release(answered, version))
    end,
  }
end

return install_outcome
