--- What is found out about an install before anything is touched: whether a relup leads there, whether it restarts the emulator,
-- whether release_handler knows the libraries, who is in the way of its walk, what becomes of the configuration, what room there
-- is, and what the next start needs.
--
-- `check` and `upgrade` ask the same questions. Changes nothing on the node.
--
-- @module edeliver.relup.step.look_before

local configuration = require "edeliver.relup.step.configuration"
local count = require "edeliver.relup.base.count"
local effects = require "edeliver.relup.script.effects"
local permanent = require "edeliver.relup.step.permanent"
local release_handler = require "edeliver.relup.otp.release_handler"
local relup = require "edeliver.relup.otp.relup"
local room = require "edeliver.relup.step.room"
local supervision_trees = require "edeliver.relup.otp.supervision_trees"
local tarball = require "edeliver.relup.otp.tarball"
local term = require "edeliver.relup.term"

local look_before = {}

-- The relup -----------------------------------------------------------------------------------------------------------

-- Whether release_handler walks the supervision trees for a script.
local function walks(script)
  for _, instruction in ipairs(script) do
    local name, size = effects.name(instruction)
    if size == 1 and (name == "suspend" or name == "stop") then return true end
  end
  return false
end

local function look_for_restarts(node, target, options)
  local name = target.relup.restart
  if not name then return true end
  if options.restart_emulator then
    local heart, message, code = node:call("erlang", "whereis", { term.atom "heart" })
    if heart == nil then return nil, message, code end
    if heart ~= term.atom "undefined" then return true end
    return nil, ("The relup from %s to %s restarts the emulator (%s), and release_handler leaves that to heart, which does not "
      .. "run on %s"):format(target.from, target.version, name, node.name), "no_heart"
  end
  return nil, ("The relup from %s to %s restarts the emulator of %s (%s): every connection is lost. To do that all the same, "
    .. "say so: --restart-emulator, or relup.install { restart_emulator = true }"):format(target.from, target.version, node.name,
    name), "restart"
end

-- Whether a tarball has the modules that its relup loads, as release_handler would find out once it is unpacked.
local function look_at_object_code(_, target)
  local read, used = target.tarball, {}
  if not read then return true end
  for _, library in ipairs(target.libraries[target.from]) do used[library] = true end
  for _, instruction in ipairs(target.relup.script) do
    local application, version, modules = effects.object_code(instruction)
    local library = application and ("%s-%s"):format(term.text(application), term.text(version))
    if application and read.rel.libraries[term.text(application)] ~= term.text(version) then
      return nil, ("The relup from %s to %s loads modules of %s, and that library is not in the release that releases/%s holds")
        :format(target.from, target.version, library, read.file), "no_object_code"
    end
    for _, module in ipairs(modules or {}) do
      local name = ("lib/%s/ebin/%s.beam"):format(library, term.text(module))
      if not read.names[name] and not used[library] then
        return nil, ("The relup from %s to %s loads %s, which is not in releases/%s"):format(target.from, target.version, name,
          read.file), "no_object_code"
      end
    end
  end
  return true
end

-- Without a file RELEASES the release handler knows no library of the release that it was started as; then it can leave that
-- release, and not come back.
local function look_at_libraries(node, target)
  if not target.known or #target.libraries[target.version] > 0 then return true end
  return nil, ("The release_handler of %s does not know the libraries of %s, because the node was started without "
    .. "releases/RELEASES. It cannot install %s; a restart of the node goes back to its permanent release"):format(
    node.name, target.version, target.version), "no_libraries"
end

-- Supervision trees ----------------------------------------------------------------------------------------------------

local function look_at_trees(node, target, _, ctx)
  if not walks(target.relup.script) then return true end
  local supervisors, found, total = supervision_trees.walk(node)
  if not supervisors then return nil, ("%s. release_handler would fail there, and the node restart"):format(found), total end
  if total == 0 then
    ctx:log("info", ("%s will answer release_handler"):format(count.of(supervisors, "supervisor")))
    return true
  end
  local more = total > #found and (" And %d more."):format(total - #found) or ""
  return nil, ("release_handler would fail past the point of no return, and the node restart, because of %s in its way: %s.%s")
    :format(count.of(total, "process"), table.concat(found, "; "), more), "in_the_way"
end

local function look_at_next_start(node, target, options)
  if not options.permanent then return true end
  local before = release_handler.permanent(target.releases) or target.now
  return permanent.look(node, before.version, target.version, target.tarball)
end

-- All -----------------------------------------------------------------------------------------------------------------

local LOOKS = {
  look_for_restarts, look_at_object_code, look_at_libraries, look_at_trees, configuration.look, room.to_unpack,
  look_at_next_start,
}

--- Looks at everything that can be known before the first stop.
-- @param node
-- @tparam table target what `step.target` found
-- @tparam table options of the install
-- @param ctx
-- @return[1] true
-- @return[2] nil, message, code of the first that is in the way
function look_before.look(node, target, options, ctx)
  local message, code
  local given
  if target.tarball then
    given = tarball.file(target.tarball, "relup") or false
  end
  target.relup, message, code = relup.read(node, target.from, target.version, given)
  if not target.relup then return nil, message, code end
  for _, look in ipairs(LOOKS) do
    local fine
    fine, message, code = look(node, target, options, ctx)
    if not fine then return nil, message, code end
  end
  return true
end

return look_before
