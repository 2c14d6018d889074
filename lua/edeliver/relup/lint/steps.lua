--- Our own steps in a script: the calls of instructions, by the guard or inside the release.

local term = require "edeliver.relup.term"
local instruction = require "edeliver.relup.instruction"
local ordering = require "edeliver.relup.sequence.ordering"
local effects = require "edeliver.relup.script.effects"
local guard_call = require "edeliver.relup.script.guard_call"

local rules = {}

local RUN = term.atom "run"

local by_module = {}
for _, name in ipairs(instruction.names) do by_module[instruction.load(name).module] = name end

-- The instruction that an `apply` runs, by the guard or inside the release; nil for any other call.
local function step_of(entry)
  local module, name = effects.applies(entry)
  if not module then return nil end
  if name == RUN then return by_module[term.text(module)] end
  local request = guard_call.request(entry)
  return term.kind(request) == "tuple" and #request == 3 and request[1] == RUN and term.text(request[2]) or nil
end

local function point_of_no_return(list)
  for i = 1, #list do
    if effects.is_point_of_no_return(list[i]) then return i end
  end
  return nil
end

-- A module that the script loads only to run it is no part of the upgrade proper.
local function is_change(list, i)
  local entry = list[i]
  if effects.modifies_processes(entry) or effects.modifies_applications(entry) then return true end
  local module = effects.unloads(entry)
  if not module or by_module[term.text(module)] then return false end
  local applied, name = effects.applies(list[i + 1] or entry)
  return not (name == RUN and applied == module)
end

--- Checks before the point of no return.
function rules.checks(script)
  local border = point_of_no_return(script.list) or 0 -- without one, all of a script is behind it
  for i = 1, #script.list do
    local name = step_of(script.list[i])
    if i > border and name and instruction.is_built_in(name) and instruction.load(name).section == "check" then
      script:report(i, "error", "late_check", ("%s is behind the point of no return, where a failure no longer "
        .. "cancels the upgrade, but restarts the node"):format(name))
    end
  end
end

-- The steps among the script's instructions, with their positions, and what takes the part of the install: the first and
-- the last instruction that changes code, processes or applications.
local function find_steps(list)
  local steps, positions, first, last = {}, {}, nil, nil
  for i = 1, #list do
    local name = step_of(list[i])
    if name then
      -- A user's own instruction is here by name alone: what it asks for, only its definition knows.
      steps[#steps + 1] = instruction.is_built_in(name) and name or { name = name }
      positions[#steps] = i
    elseif is_change(list, i) then
      first, last = first or i, i
    end
  end
  return steps, positions, first, last
end

local function with_install(steps, positions, at)
  local all, all_positions, done = {}, {}, at == nil
  for i, step in ipairs(steps) do
    if not done and positions[i] > at then
      all[#all + 1], all_positions[#all + 1], done = "install", at, true
    end
    all[#all + 1], all_positions[#all + 1] = step, positions[i]
  end
  if not done then all[#all + 1], all_positions[#all + 1] = "install", at end
  return all, all_positions
end

local function report_order(script, steps, positions, at, is_wanted)
  local all, all_positions = with_install(steps, positions, at)
  for _, edge in ipairs(assert(ordering.violations(all))) do
    local names = {}
    for _, side in ipairs { "first", "second" } do
      local step = all[edge[side]]
      names[side] = step == "install" and "the change of code" or type(step) == "table" and step.name or step
    end
    if is_wanted(all[edge.first] == "install", all[edge.second] == "install") then
      script:report(all_positions[edge.second], "error", "order", ("%s (instruction %d) must come before %s (instruction %d): %s")
        :format(names.first, all_positions[edge.first], names.second, all_positions[edge.second], edge.because))
    end
  end
end

--- The ordering constraints, and a resume for every suspend.
function rules.order(script)
  local steps, positions, first, last = find_steps(script.list)
  -- What suspends comes before the first change, what resumes after the last.
  report_order(script, steps, positions, first, function(is_first) return not is_first end)
  report_order(script, steps, positions, last, function(is_first) return is_first end)
  local missing = ordering.missing(steps)
  if missing then script:report(nil, "error", "no_resume", missing) end
end

--- No call of the guard where the script begins with a new emulator: the guard runs on the old one.
function rules.guard(script)
  if effects.restarts(script.list[1]) ~= "restart_new_emulator" then return end
  for i = 2, #script.list do
    local request, is_caught = guard_call.request(script.list[i])
    if request then
      script:report(i, is_caught and "warning" or "error", "no_guard", is_caught
        and "the new emulator has no guard: the call does nothing" or "the new emulator has no guard: the call fails")
      return
    end
  end
end

return { rules.checks, rules.order, rules.guard }
