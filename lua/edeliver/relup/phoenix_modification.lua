--- The modification for Phoenix applications: check, suspend, upgrade, resume.
--
-- @module edeliver.relup.phoenix_modification

local modification = require "edeliver.relup.modification"
local instruction = require "edeliver.relup.instruction"
local term = require "edeliver.relup.term"

local STEPS = {
  { "start_section", "check" },
  { "check_processes_running_old_code" },
  { "check_ranch_acceptors" },
  { "check_ranch_connections" },
  { "start_section", "suspend" },
  { "suspend_ranch_acceptors" },
  { "suspend_channels" },
  { "finish_running_requests" },
  { "start_section", "upgrade" },
  { "soft_purge" },
  { "suspend_app_processes" },
  { "reload_modules" },
  { "code_change_on_app_processes" },
  { "resume_app_processes" },
  { "start_section", "resume" },
  { "rerun_failed_requests" },
  { "resume_channels" },
  { "resume_ranch_acceptors" },
  { "start_section", "finished" },
}

return modification.define {
  name = "phoenix",
  priority = modification.PRIORITY_DEFAULT + 1,

  --- Whether the release has Phoenix in it.
  -- @param config `applications`: the names of the release's applications, as its .rel file lists them
  usable = function(config)
    for _, name in ipairs(config.applications or {}) do
      if term.text(name) == "phoenix" then return true end
    end
    return false
  end,

  modify_relup = function(instructions, config)
    for _, step in ipairs(STEPS) do
      instructions = instruction.load(step[1]).modify_relup(instructions, config, step[2])
    end
    return instructions
  end,
}
