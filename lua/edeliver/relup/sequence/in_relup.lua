--- A sequence inside a relup: its steps become instructions of OTP's own script, which calls back for them.
--
-- `patch` needs no node. `install` puts the patched relup into the node's release folder for the time of the upgrade; the
-- context puts it back on every way out, as it was, byte for byte.
--
-- @module edeliver.relup.sequence.in_relup

local consult = require "edeliver.relup.consult"
local insert_instruction = require "edeliver.relup.insert_instruction"
local install = require "edeliver.relup.step.install"
local instruction = require "edeliver.relup.instruction"
local modification = require "edeliver.relup.modification"
local relup_on = require "edeliver.relup.otp.relup"

local in_relup = {}

-- Patching -----------------------------------------------------------------------------------------------------------

-- Where a step of the user's goes that does not say it itself.
local function place_of(step, after_install)
  if step.insert_where then return step.insert_where end
  local place = insert_instruction.append_after_point_of_no_return
  if step.section == "check" then place = insert_instruction.insert_before_point_of_no_return end
  if after_install then place = insert_instruction.append end
  return function() return place end
end

-- The instruction that stands for a step; nil for `install`, whose place is OTP's own script.
local function instruction_of(step, after_install)
  if step.name == "install" then return nil end
  if step.modify_relup then return step end
  return instruction.define {
    name = step.name, module = step.module, section = step.section, run = step.run,
    arguments = step.arguments or instruction.application_name, insert_where = place_of(step, after_install),
  }
end

--- See `edeliver.relup.sequence:patch`.
function in_relup.patch(steps, relup, config)
  return modification.apply(relup, config, modification.define {
    modify_relup = function(instructions)
      local after_install = false
      for _, step in ipairs(steps) do
        local inserted = instruction_of(step, after_install)
        after_install = after_install or not inserted
        if inserted then instructions = inserted.modify_relup(instructions, config) end
      end
      return instructions
    end,
  })
end

-- Installing ---------------------------------------------------------------------------------------------------------

-- The relup with the steps in it, and the file that it goes to.
local function patched(this, sequence, from)
  local config = this.config
  local found, message, code = this.ctx.relup
  if not config.dry_run then found, message, code = relup_on.read(this.node, from, config.version) end
  if not found then return nil, message, code end
  if found.restart then
    return nil, ("%s cannot be patched: %s ends every connection, and the new emulator has no guard to call"):format(
      found.path, found.restart), "restart"
  end
  local done, result = pcall(sequence.patch, sequence, found.relup, config)
  if not done then return nil, ("%s cannot be patched: %s"):format(found.path, tostring(result)), "refused" end
  return { path = found.path, before = found.text, after = consult.write { result } }
end

local function write(this, from)
  local change, message, code = patched(this, this.sequence, from)
  if not change then return nil, message, code end
  local done
  done, message, code = this.ctx:overwrite("relup", change.path, change.before, change.after)
  if not done then return nil, message, code end
  return change.path
end

-- What the sequence's own install step was given.
local function options_of(sequence)
  for _, step in ipairs(sequence.steps) do
    if step.name == "install" then return step.options or {} end
  end
  return {}
end

--- See `edeliver.relup.sequence:install`.
-- @param this a run that has begun
-- @param sequence
-- @treturn boolean whether all went well
function in_relup.install(this, sequence)
  local node, ctx = this.node, this.ctx
  this.sequence = sequence
  local from = this:perform("unpack", 0, install.unpack, node, this.config.version, ctx,
    options_of(sequence))
  if not from then return false end
  if this.config.dry_run then
    return this:perform("patch_relup", 0, function()
      local change, message, code = patched(this, sequence, from)
      return change and change.path, message, code
    end) and this:all_steps()
  end
  if not this:perform("patch_relup", 0, write, this, from) then return false end
  if not this:perform("check_install_release", 0, install.check, node, this.config.version, ctx, from) then return false end
  local installed = this:perform("install_release", 0, install.perform, node, ctx, options_of(sequence))
    and this:perform("put_relup_back", 0, ctx.undo, ctx, "relup")
  -- A step that failed past the point of no return has failed the run, though the release is installed.
  return installed and this.report.message == nil
end

return in_relup
