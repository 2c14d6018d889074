--- Checks that no process still runs old code of the modules that the upgrade loads.
--
-- Such a process would be killed, or keep the upgrade from purging, when its module is loaded anew.

local term = require "edeliver.relup.term"
local instruction = require "edeliver.relup.instruction"
local insert_instruction = require "edeliver.relup.insert_instruction"
local patterns = require "edeliver.relup.patterns"

return instruction.define {
  name = "check_processes_running_old_code",
  section = "check",
  order = {
    {
      before = { "suspend_ranch_acceptors", "suspend_channels", "finish_running_requests", "install" },
      because = "a check that fails before anything is suspended or installed cancels the upgrade and changes nothing",
    },
  },

  --- All modules of the up list's `load_object_code` instructions.
  arguments = function(instructions)
    local modules = {}
    for _, entry in ipairs(instructions.up_instructions) do
      local _, _, loaded = patterns.object_code(entry)
      for _, module in ipairs(loaded or {}) do modules[#modules + 1] = module end
    end
    return term.list(modules)
  end,

  insert_where = function() return insert_instruction.insert_before_point_of_no_return end,
}
