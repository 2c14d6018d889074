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
local live = require "edeliver.relup.plan.live"
local judge = require "edeliver.relup.plan.judge"
local names = require "edeliver.relup.plan.names"
local next_vm = require "edeliver.relup.plan.next_vm"
local node_state = require "edeliver.relup.plan.node_state"
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

local function is_node(what) return type(what) == "table" and type(what.run) == "function" and what.name ~= nil end

-- What differs, of two releases that were read.
local function compare(from, to, options)
  if from.name ~= to.name then
    return nil, ("%s is a release of %s, and %s one of %s: they are not versions of one release"):format(from.path, from.name,
      to.path, to.name), "other_release"
  end
  local made = {
    old = from, new = to,
    from = { name = from.name, version = from.version }, to = { name = to.name, version = to.version },
    processes = {}, hot_patched = from.hot_patched or {}, start_children = options.start_children or {},
  }
  local message, code
  made.modules, message, code = changes.modules(from, to)
  if not made.modules then return nil, message, code end
  made.protocols = changes.protocols(to, made.modules)
  made.files = changes.files(from, to)
  made.applications = changes.applications(from, to, made.modules, made.files)
  made.configuration, made.before, made.after = changes.configuration(from, to)
  made.facts, message, code = facts.collect(from, to, made.modules)
  if not made.facts then return nil, message, code end
  return made
end

-- The first name among the children to be started that no application of the new release begins to start.
local function unknown_child(made)
  local known = {}
  for _, application in ipairs(made.facts.applications) do
    for _, name in ipairs(application.gained) do known[names.short(name)] = true end
  end
  -- Where the new release was not asked, and its file does not tell, it may start it all the same.
  if (not made.old.is_live or made.next_vm_failed) and #made.facts.unknown_children > 0 then return nil end
  for _, name in ipairs(made.start_children) do
    if not known[names.short(name)] then return name end
  end
  return nil
end

local function judged(made)
  local unknown = unknown_child(made)
  if unknown then
    local why = made.next_vm_failed and ("; the new release was not asked, since %s"):format(made.next_vm_failed) or ""
    return nil, ("%s is no child that an application of %s %s newly starts%s"):format(unknown, made.to.name,
      made.to.version, why), "no_such_child"
  end
  made.structs, made.supervisors, made.started = made.facts.structs, made.facts.supervisors, made.facts.applications
  made.reasons = reasons.sort(judge.reasons(made, made.old, made.new))
  made.verdict = judge.verdict(made.reasons)
  return made
end

-- Who runs what will be other code, or none.
local function add_processes(made, node)
  local wanted = {}
  for _, kind in ipairs { "changed", "removed" } do
    table.move(made.modules[kind], 1, #made.modules[kind], #wanted + 1, wanted)
  end
  for _, struct in ipairs(made.facts.structs) do
    table.move(struct.holders, 1, #struct.holders, #wanted + 1, wanted)
  end
  local found, message, code = live.processes(node, wanted)
  if not found then return nil, message, code end
  made.processes, made.trees_failed, made.count_of = found, message, {}
  for _, it in ipairs(found) do made.count_of[it.module] = (made.count_of[it.module] or 0) + it.count end
  return true
end

-- Room on the disk, and who has funs of code that goes.
local function add_state(made, node)
  local message, code
  made.running_erts, message, code = node_state.erts(node)
  if not made.running_erts then return nil, message, code end
  made.free, message, code = node_state.free(node, made.old.source.root)
  if made.free == nil then return nil, message, code end
  made.needs = changes.size(made.new, made.applications)
  local wanted = table.move(made.modules.removed, 1, #made.modules.removed, 1, {})
  table.move(made.modules.changed, 1, #made.modules.changed, #wanted + 1, wanted)
  local structs = {}
  for i, struct in ipairs(made.facts.structs) do structs[i] = struct.module end
  made.in_states, message, code = node_state.struct_holders(node, structs)
  if not made.in_states then return nil, message, code end
  made.held, message, code = node_state.fun_holders(node, wanted)
  return made.held and true, message, code
end

-- What only the new release itself can say; where it cannot be asked, why not.
local function ask_next_vm(made, root, is_last)
  local node = made.old.node
  root = root or next_vm.root_of(node, made.new, made.old.source.root)
  made.is_there = root ~= nil and root == made.old.source.root
  local asked, why = false, "it is not on the node's disk"
  if root then asked, why = next_vm.ask(node, made, root) end
  made.next_vm_failed = not asked and why or nil
  made.asked_again = not root and not is_last
end

-- What runs on a node, and a release.
local function against(node, to, options)
  local from, message, code = live.release(node)
  if not from then return nil, message, code end
  local done
  done, message, code = changes.with_md5s(to)
  if not done then return nil, message, code end
  local made
  made, message, code = compare(from, to, options)
  if not made then return nil, message, code end
  done, message, code = add_processes(made, node)
  if done then done, message, code = add_state(made, node) end
  if not done then return nil, message, code end
  ask_next_vm(made, options.root, not options.asked_again)
  return judged(made)
end

local OPTIONS = { root = true, start_children = true, asked_again = true }

--- Compares two releases, or what runs on a node and a release.
-- @param old a path (folder or .tar.gz), a release, or a node
-- @param new a path or a release
-- @tparam[opt] table options `root`: where the new release lies on the node (by default, its own path and the node's root are
-- tried); `start_children`: a list of names of new children of applications that will be started by hand; `asked_again`: a
-- release that is not on the node's disk yet is no reason for a warning, since `ask` follows when it is
-- @treturn[1] table the plan: `verdict` ("hot" or "cold"), `reasons` (each with `level`, `code`, `text`, `place`, `next`), `from`
-- and `to` (`name`, `version`), `applications`, `modules`, `protocols`, `files`, `configuration`, `processes` and `hot_patched`
-- (of a node), `structs`, `supervisors`, `started` (children of applications)
-- @return[2] nil, message with the file's name, code: "no_such_child" where no application newly starts such a child
function plan.compare(old, new, options)
  options = options or {}
  for option in pairs(options) do
    if not OPTIONS[option] then error(("a plan has no option %q"):format(tostring(option)), 2) end
  end
  if is_node(old) then
    local to, message, code = open(new)
    if not to then return nil, message, code end
    return against(old, to, options)
  end
  local from, message, code = open(old)
  if not from then return nil, message, code end
  local to
  to, message, code = open(new)
  if not to then return nil, message, code end
  local made
  made, message, code = compare(from, to, options)
  if not made then return nil, message, code end
  return judged(made)
end

--- Asks the new release again, of a plan against a node, and judges again: for when it has come onto the node's disk.
-- @tparam table made the plan, which is changed
-- @string[opt] root as in `compare`
-- @return as `compare`
function plan.ask(made, root)
  if not made.old.is_live then error("only a plan against a node can ask the new release", 2) end
  ask_next_vm(made, root, true)
  return judged(made)
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
