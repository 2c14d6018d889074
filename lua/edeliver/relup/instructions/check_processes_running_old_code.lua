--- Checks that no process still runs old code of the modules that the upgrade loads.
--
-- Such a process would be killed when its module is loaded anew, or make release_handler refuse. Old code that nobody runs is no
-- reason to refuse: it is purged.

local count = require "edeliver.relup.base.count"
local term = require "edeliver.relup.term"
local instruction = require "edeliver.relup.instruction"
local insert_instruction = require "edeliver.relup.insert_instruction"
local application = require "edeliver.relup.otp.application"
local effects = require "edeliver.relup.script.effects"
local release_handler = require "edeliver.relup.otp.release_handler"
local relup = require "edeliver.relup.otp.relup"

-- Whom to ask about where no relup is at hand here: the modules that the node's own relup to `config.version` loads, and
-- without one (nothing is to be installed, or it is still in its tarball) all modules of the applications that are meant. The
-- first may be a release that is no application, as an umbrella's is.
local function modules_on(node, name, ctx)
  if ctx.config.version then
    local modules, message, code = relup.loaded_modules(node, ctx.config.version)
    if modules then return modules end
    if code ~= "no_matching_relup" then return nil, message, code end
  end
  local all = {}
  for _, each in ipairs { name, table.unpack(ctx.config.applications or {}) } do
    local modules, message, code = application.modules(node, each)
    if not modules and (code ~= "no_application" or not ctx.config.applications) then return nil, message, code end
    for _, module in ipairs(modules or {}) do all[#all + 1] = module end
  end
  return term.list(all)
end

local MAX_PIDS = 5

local function names_of(pids)
  local names = {}
  for i = 1, math.min(#pids, MAX_PIDS) do names[i] = tostring(pids[i]) end
  if #pids > MAX_PIDS then names[#names + 1] = ("and %d more"):format(#pids - MAX_PIDS) end
  return ("%s (%s)"):format(count.of(#pids, "process"), table.concat(names, ", "))
end

local function refusal(node, found)
  local parts, total = {}, 0
  for i, entry in ipairs(found) do
    parts[i] = ("%s, run by %s"):format(term.format(term.atom(entry.module)), names_of(entry.pids))
    total = total + #entry.pids
  end
  local what = total == 1 and "The upgrade would kill this process. Let it end, or restart it, and try again"
    or "The upgrade would kill these processes. Let them end, or restart them, and try again"
  return ("old code is still in use on %s: %s. %s"):format(node.name, table.concat(parts, "; "), what)
end

return instruction.define {
  name = "check_processes_running_old_code",
  section = "check",
  order = {
    {
      before = { "suspend_ranch_acceptors", "suspend_channels", "finish_running_requests", "install" },
      because = "a check that fails before anything is suspended or installed cancels the upgrade and changes nothing",
    },
  },

  --- All modules of the up list's `load_object_code` instructions; the application's name where no relup is at hand.
  arguments = function(instructions, config)
    if not instructions then return instruction.application_name(nil, config) end
    return term.list(effects.loaded(instructions.up_instructions))
  end,

  insert_where = function() return insert_instruction.insert_before_point_of_no_return end,

  --- Asks the node about all of them at once. A dry run purges nothing.
  -- @param modules a list of modules, or the application's name
  -- @return[1] in words, how many were asked about, and how many were purged
  -- @return[2] nil, who runs old code of which of them, "old_code"
  run = function(node, modules, ctx)
    if term.kind(modules) ~= "list" then
      local message, code
      modules, message, code = modules_on(node, ctx.name, ctx)
      if not modules then return nil, message, code end
    end
    local found, message, code = release_handler.running_old_code(node, { modules = modules, purge = not ctx.dry_run })
    if not found then return nil, message, code end
    if #found > 0 then return nil, refusal(node, found), "old_code" end
    local purged = found.purged > 0 and ("; purged it from %d"):format(found.purged) or ""
    return ("nobody runs old code of %s%s"):format(count.of(#modules, "module"), purged)
  end,
}
