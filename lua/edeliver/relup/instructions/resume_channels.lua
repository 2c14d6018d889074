--- Resumes the websockets of channels: exactly those that were asked to suspend.

local bulk_result = require "edeliver.relup.node.bulk_result"
local count = require "edeliver.relup.base.count"
local instruction = require "edeliver.relup.instruction"
local web = require "edeliver.relup.web"

local TIMEOUT, PATIENCE = 1000, 5000 -- ms: for all, and then for those that are slow

-- How many of the silent are suspended. A busy one resumes by itself: its resume is behind its suspend in its mailbox.
local function suspended_among(node, silent, ctx)
  if #silent == 0 then return 0 end
  local suspended, sleeping, code = node:suspended(silent)
  if not suspended then return nil, sleeping, code end
  local left = #suspended + #sleeping
  if left < #silent then
    ctx:log("warning", count.of(#silent - left, "process is busy: the resume is in its mailbox",
      "processes are busy: the resumes are in their mailboxes"))
  end
  return left
end

-- Asks them, and those that are slow once more with more patience: the silent ones, and how many were dead.
local function resume_patiently(resume, pids, ctx)
  local silent, dead = pids, 0
  for _, timeout in ipairs { ctx.config.resume_timeout or TIMEOUT, PATIENCE } do
    local answer, number, errors = resume(silent, timeout)
    if not answer then return nil, number, errors end
    local result = bulk_result.sort(silent, errors)
    silent, dead = result.silent, dead + #result.dead
    if #silent == 0 then break end
  end
  return silent, dead
end

-- By hand nothing is remembered: the websockets and channels that are found suspended, and those that hibernate, which do not
-- show whether they are; a resume does them no harm.
local function resume_found(node, ctx)
  local site, message, code = web.known(node, ctx)
  if not site then return nil, message, code end
  local now
  now, message, code = site:connections()
  if not now then return nil, message, code end
  local suspended, sleeping, problem = node:suspended(now.websockets:plus(now.idle):plus(now.channels))
  if not suspended then return nil, sleeping, problem end
  local found = suspended:plus(sleeping)
  local silent, dead, why = resume_patiently(function(pids, timeout) return node:bulk_resume(pids, timeout) end, found, ctx)
  if not silent then return nil, dead, why end
  local shown
  shown, message, code = site:show()
  if not shown then return nil, message, code end
  return silent, #found - dead
end

local function resume_remembered(_, ctx)
  local asked = ctx:suspended()
  local silent, dead, why = resume_patiently(function(_, timeout) return ctx:resume(timeout) end, asked, ctx)
  if not silent then return nil, dead, why end
  local shown, message, code = ctx:undo "connection types"
  if not shown then return nil, message, code end
  return silent, #asked - dead
end

local resume_channels = instruction.define {
  name = "resume_channels",
  section = "resume",
  undoes = "suspend_channels",
  order = {
    { after = "install", because = "suspended channels must wake up in the new code" },
    { after = "rerun_failed_requests", because = "what was suspended last is resumed first" },
    {
      before = "resume_ranch_acceptors",
      because = "else websockets that have just connected, and were never suspended, are resumed too",
    },
  },
  arguments = instruction.application_name,
  dependencies = function() return { "check_ranch_acceptors", "check_ranch_connections" } end,

  --- Resumes all that this run has asked to suspend; by hand, what is found suspended.
  run = function(node, _, ctx)
    local silent, resumed, code = (ctx.by_hand and resume_found or resume_remembered)(node, ctx)
    if not silent then return nil, resumed, code end
    local left, message
    left, message, code = suspended_among(node, silent, ctx)
    if not left then return nil, message, code end
    if left > 0 then
      return nil, ("%d of %s did not confirm the resume"):format(left, count.of(resumed, "process")), "timeout"
    end
    return count.of(resumed - #silent, "process") .. " resumed"
  end,
}

--- Resumes any processes, all at once.
-- @param node
-- @param pids
-- @tparam[opt=1000] number timeout ms
-- @return as `node:bulk_resume`
function resume_channels.bulk_resume(node, pids, timeout) return node:bulk_resume(pids, timeout or TIMEOUT) end

return resume_channels
