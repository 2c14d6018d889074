--- Says which part of the upgrade begins: check, suspend, upgrade, resume or finished.

local term = require "edeliver.relup.term"
local instruction = require "edeliver.relup.instruction"
local insert_instruction = require "edeliver.relup.insert_instruction"
local info = require "edeliver.relup.instructions.info"

-- What is said in an upgrade and in a downgrade, and where: the texts are edeliver's.
local SECTIONS = {
  check = {
    where = insert_instruction.insert_after_load_object_code,
    { "==> Checking whether upgrade to version %s is possible...",
      "==> Checking whether downgrade to version %s is possible..." },
  },
  suspend = {
    where = insert_instruction.insert_after_point_of_no_return,
    { "==> Preparing upgrade to version %s...", "==> Preparing downgrade to version %s..." },
  },
  upgrade = {
    where = insert_instruction.append_after_point_of_no_return,
    { "==> Upgrading release to version %s...", "==> Downgrading release to version %s..." },
  },
  resume = {
    where = insert_instruction.append,
    { "---> Upgrade to version %s succeeded.", "---> Downgrade to version %s succeeded." },
    { "==> Resuming node after upgrade to version %s...", "==> Resuming node after downgrade to version %s..." },
  },
  finished = {
    where = insert_instruction.append,
    { "==> Finished upgrade to version %s...", "==> Finished downgrade to version %s..." },
  },
}

local function section_of(name)
  return SECTIONS[name] or error(("there is no section %q"):format(tostring(name)), 3)
end

return instruction.define {
  name = "start_section",

  --- Puts the messages of a section at the section's place.
  -- @string section "check", "suspend", "upgrade", "resume" or "finished"
  modify_relup = function(instructions, config, section)
    local found = section_of(section)
    local up_version, down_version = term.text(instructions.up_version), term.text(instructions.down_version)
    for _, texts in ipairs(found) do
      instructions = info.modify_relup(instructions, config, texts[1]:format(up_version), texts[2]:format(down_version),
        found.where)
    end
    return instructions
  end,

  --- Logs the messages of a section on the way up.
  run = function(_, section, ctx)
    local version = ctx.config.version or "?"
    for _, texts in ipairs(section_of(section)) do
      ctx:log("info", texts[1]:format(term.text(version)))
    end
    return true
  end,
}
