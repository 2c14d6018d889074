--- Checks that no process still runs old code of the modules that the upgrade loads.
--
-- Such a process would be killed, or keep the upgrade from purging, when its module is loaded anew.

local term = require "edeliver.relup.term"
local instruction = require "edeliver.relup.instruction"
local insert_instruction = require "edeliver.relup.insert_instruction"
local application = require "edeliver.relup.otp.application"
local effects = require "edeliver.relup.script.effects"
local relup = require "edeliver.relup.otp.relup"

-- Whom to ask about where no relup is at hand here: the modules that the node's own relup to `config.version` loads, and
-- without one (nothing is to be installed, or it is still in its tarball) all modules of the application.
local function modules_on(node, name, ctx)
  if ctx.config.version then
    local modules, message, code = relup.loaded_modules(node, ctx.config.version)
    if modules then return modules end
    if code ~= "no_matching_relup" then return nil, message, code end
  end
  return application.modules(node, name)
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
    local modules = {}
    for _, entry in ipairs(instructions.up_instructions) do
      local _, _, loaded = effects.object_code(entry)
      for _, module in ipairs(loaded or {}) do modules[#modules + 1] = module end
    end
    return term.list(modules)
  end,

  insert_where = function() return insert_instruction.insert_before_point_of_no_return end,

  --- Asks the node about all of them at once.
  -- @param modules a list of modules, or the application's name
  -- @return[1] in words, how many were asked about
  -- @return[2] nil, the modules of which old code is loaded, "old_code"
  run = function(node, modules, ctx)
    if term.kind(modules) ~= "list" then
      local message, code
      modules, message, code = modules_on(node, ctx.name, ctx)
      if not modules then return nil, message, code end
    end
    local answers, message, code = node:map("erlang", "check_old_code", modules)
    if not answers then return nil, message, code end
    local old = {}
    for i, module in ipairs(modules) do
      if answers[i] then old[#old + 1] = term.format(module) end
    end
    if #old == 0 then return ("no old code of %d modules"):format(#modules) end
    return nil, ("old code of %s is still loaded: a process may be running it, and would be killed. code:soft_purge(Module) "
      .. "unloads it where none does"):format(table.concat(old, ", ")), "old_code"
  end,
}
