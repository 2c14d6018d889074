--- Processes that a script suspends, changes and stops: what it does to them it undoes.

local term = require "edeliver.relup.term"
local effects = require "edeliver.relup.script.effects"

local rules = {}

local NOT_RESUMED = {
  one = "the processes of %s are suspended, and no instruction behind it resumes them",
  many = "the processes of %s are suspended, and no instruction behind it resumes them",
}
local NOT_STARTED = {
  one = "the processes of %s are stopped, and no instruction behind it starts them",
  many = "the processes of %s are stopped, and no instruction behind it starts them",
}
local NOT_SUSPENDED = {
  one = "the processes of %s are not suspended then, so there is nothing to resume",
  many = "the processes of %s are not suspended then, so there is nothing to resume",
}
local NOT_STOPPED = {
  one = "the processes of %s are not stopped then, so there is nothing to start",
  many = "the processes of %s are not stopped then, so there is nothing to start",
}
local NOT_CHANGED = {
  one = "the processes of %s are not suspended then, so their code_change is not called",
  many = "the processes of %s are not suspended then, so their code_change is not called",
}

local function each_module(instruction, look)
  for _, entry in ipairs(instruction[#instruction]) do look(term.kind(entry) == "tuple" and entry[1] or entry) end
end

local function restarts_at_end(script)
  for i = 1, #script.list do
    if effects.restarts(script.list[i]) == "restart_emulator" then return true end
  end
  return false
end

-- What `first` does to modules, `second` undoes.
local function hold(script, first, second, missing, kind, needless)
  local open, order = {}, {}
  for i = 1, #script.list do
    local name = effects.name(script.list[i])
    if name == first then
      each_module(script.list[i], function(module) open[module], order[#order + 1] = i, module end)
    elseif name == second then
      each_module(script.list[i], function(module)
        -- systools refuses an appup for that.
        local how = script.is_appup and "error" or "warning"
        if not open[module] then script:collect(i, how, needless.kind, needless.texts, module) end
        open[module] = nil
      end)
    end
  end
  if restarts_at_end(script) then return end
  for _, module in ipairs(order) do
    if open[module] then script:collect(open[module], "error", kind, missing, module) end
  end
end

--- A resume behind every suspend.
function rules.suspended(script)
  hold(script, "suspend", "resume", NOT_RESUMED, "no_resume", { kind = "not_suspended", texts = NOT_SUSPENDED })
end

--- A start behind every stop.
function rules.stopped(script)
  hold(script, "stop", "start", NOT_STARTED, "no_start", { kind = "not_stopped", texts = NOT_STOPPED })
end

--- release_handler has only those processes change their code that it has suspended.
function rules.changed(script)
  local suspended = {}
  for i = 1, #script.list do
    local name = effects.name(script.list[i])
    if name == "suspend" or name == "resume" then
      each_module(script.list[i], function(module) suspended[module] = name == "suspend" or nil end)
    elseif name == "code_change" then
      each_module(script.list[i], function(module)
        if not suspended[module] then script:collect(i, "warning", "no_code_change", NOT_CHANGED, module) end
      end)
    end
  end
end

return { rules.suspended, rules.stopped, rules.changed }
