--- The places of instructions in a script: the point of no return, what is before it and behind it, and restarts of the emulator.
--
-- release_handler evaluates what is before the point of no return already when it is asked whether the release can be installed
-- (check_install_release), refuses some instructions there and some behind it, and restarts the node where one fails behind it.
-- Of a script without such a point everything is behind it.

local effects = require "edeliver.relup.script.effects"

local rules = {}

local EARLY = { load_object_code = true, apply = true }
-- What does nothing by itself.
local IDLE = { load_object_code = true, point_of_no_return = true, sync_nodes = true }

local function border_of(list)
  for i = 1, #list do
    if effects.is_point_of_no_return(list[i]) then return i end
  end
  return nil
end

--- One point of no return, where there is anything to prepare.
function rules.point_of_no_return(script)
  local first = border_of(script.list)
  for i = (first or #script.list) + 1, #script.list do
    if effects.is_point_of_no_return(script.list[i]) then
      -- release_handler takes the first, systools refuses the appup.
      script:report(i, script.is_appup and "error" or "warning", "several_points_of_no_return",
        ("the point of no return is instruction %d; this one does nothing"):format(first))
    end
  end
  if first or script.is_appup then return end
  for i = 1, #script.list do
    if effects.name(script.list[i]) == "load_object_code" then
      script:report(i, "error", "no_point_of_no_return", "the script has no point of no return, so all of it is behind that "
        .. "point, where release_handler refuses to read object code (illegal_instruction_after_point_of_no_return)")
      return
    end
  end
end

local BEFORE = {
  one = "%s before the point of no return: check_install_release evaluates it, so that even a dry run changes the node; "
    .. "systools refuses it (bad_op_before_point_of_no_return)",
  many = "%s before the point of no return: check_install_release evaluates them, so that even a dry run changes the node; "
    .. "systools refuses them (bad_op_before_point_of_no_return)",
  noun = "kinds of instructions",
}

--- Nothing that changes the node before the point of no return.
function rules.before(script)
  for i = 1, (border_of(script.list) or 0) - 1 do
    local name = effects.name(script.list[i])
    local is_elsewhere = effects.restarts(script.list[i]) and not script.is_appup -- the rule of restarts
    if not EARLY[name] and not is_elsewhere then script:collect(i, "error", "early_change", BEFORE, name) end
  end
end

--- Object code is read before the point of no return. systools moves what an appup says.
function rules.behind(script)
  local border = border_of(script.list)
  if script.is_appup or not border then return end
  for i = border + 1, #script.list do
    if effects.name(script.list[i]) == "load_object_code" then
      script:report(i, "error", "late_object_code", "release_handler refuses to read object code behind the point of no return "
        .. "(illegal_instruction_after_point_of_no_return)")
    end
  end
end

-- Whether release_handler refuses a restart where it is.
local function refused_restart(script, i, name, border)
  if name == "restart_new_emulator" and i > 1 then
    script:report(i, "error", "restart_not_first", "release_handler refuses it unless it is the first instruction of all, once")
  elseif name == "restart_emulator" and border and i < border then
    script:report(i, "error", "early_restart", "release_handler refuses it before the point of no return: it has to be the last "
      .. "instruction, behind that point")
  else
    return false
  end
  return true
end

--- Restarts of the emulator. systools puts those of an appup into their places.
function rules.restarts(script)
  local border, told = border_of(script.list), false
  for i = 1, #script.list do
    local name = effects.restarts(script.list[i])
    if name then
      local refused = not script.is_appup and refused_restart(script, i, name, border)
      if not refused and not told then
        script:report(i, "warning", "restart", name .. " restarts the node: every connection is lost, suspended or not")
      end
      told = told or not refused
      if name == "restart_emulator" and not refused and not script.is_appup and i < #script.list then
        script:report(i, "error", "never_runs", i + 1 == #script.list and "the instruction behind it never runs"
          or ("the %d instructions behind it never run"):format(#script.list - i))
        return
      end
    end
  end
end

--- A script that does nothing. Where the ebin folders are known, the code says whether that is right.
function rules.something(script)
  if script.before and script.after then return end
  for i = 1, #script.list do
    if not IDLE[effects.name(script.list[i])] then return end
  end
  script:report(nil, "warning", "changes_nothing",
    "the script changes nothing: the install succeeds, and the code that runs stays the same")
end

return { rules.point_of_no_return, rules.before, rules.behind, rules.restarts, rules.something }
