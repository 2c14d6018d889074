--- Says what an upgrade between two releases is: what changes, whether it is hot, and why.
--
-- By content, module for module, from files alone: no node and no Erlang are needed. It changes nothing.
--
-- @module edeliver.relup.plan
-- @usage
-- local plan = assert(relup.plan("releases/myapp-1.4.5", "releases/myapp-1.4.6.tar.gz"))
-- print(plan.verdict)
-- for _, reason in ipairs(plan.reasons) do print(reason.level, reason.text, reason.next) end

local changes = require "edeliver.relup.plan.changes"
local facts = require "edeliver.relup.plan.facts"
local judge = require "edeliver.relup.plan.judge"
local reasons = require "edeliver.relup.plan.reasons"
local release = require "edeliver.relup.release"
local relup = require "edeliver.relup.plan.relup"

local plan = {}

-- A path, or a release that was opened before.
local function open(what)
  if type(what) == "string" then return release.open(what) end
  if getmetatable(what) == release then return what end
  error("a release's path is expected, or a release; got " .. type(what), 3)
end

--- Compares two releases.
-- @param old a path (folder or .tar.gz), or a release
-- @param new the same
-- @treturn[1] table the plan: `verdict` ("hot" or "cold"), `reasons` (each with `level`, `code`, `text`, `place`, `next`), `from`
-- and `to` (`name`, `version`), `applications`, `modules`, `protocols`, `files`, `configuration`, `processes`, `hot_patched`,
-- `structs`, `supervisors`, `started` (children of applications)
-- @return[2] nil, message with the file's name, code
function plan.compare(old, new)
  local from, message, code = open(old)
  if not from then return nil, message, code end
  local to
  to, message, code = open(new)
  if not to then return nil, message, code end
  if from.name ~= to.name then
    return nil, ("%s is a release of %s, and %s one of %s: they are not versions of one release"):format(from.path, from.name,
      to.path, to.name), "other_release"
  end
  local made = {
    old = from, new = to,
    from = { name = from.name, version = from.version }, to = { name = to.name, version = to.version },
  }
  made.modules, message, code = changes.modules(from, to)
  if not made.modules then return nil, message, code end
  made.protocols = changes.protocols(to, made.modules)
  made.files = changes.files(from, to)
  made.applications = changes.applications(from, to, made.modules, made.files)
  made.configuration, made.before, made.after = changes.configuration(from, to)
  made.facts, message, code = facts.collect(from, to, made.modules)
  if not made.facts then return nil, message, code end
  made.structs, made.supervisors, made.started = made.facts.structs, made.facts.supervisors, made.facts.applications
  made.processes, made.hot_patched = {}, {}
  made.reasons = reasons.sort(judge.reasons(made, from, to))
  made.verdict = judge.verdict(made.reasons)
  return made
end

--- How many reasons of a plan are of a level.
-- @tparam table made a plan
-- @string level "cold", "warning" or "note"
function plan.count(made, level) return judge.count(made.reasons, level) end

--- A relup from plans to one release, by systools' own rules; see `edeliver.relup.plan.relup`.
-- @tparam table plans a list of plans
-- @return[1] `relup`, `text`, `found_by`, `notes`
-- @return[2] nil, message, code
function plan.relup(plans) return relup.make(plans) end

--- The appups that it was made from, where they were generated.
-- @tparam table plans a list of plans
-- @return a table from each application's name to the text of its .appup
function plan.appups(plans) return relup.appups(plans) end

return plan
