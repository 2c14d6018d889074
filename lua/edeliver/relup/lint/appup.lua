--- What systools refuses in an appup, beyond the shapes of its instructions and the rules that a relup has, too.

local term = require "edeliver.relup.term"
local effects = require "edeliver.relup.script.effects"

local rules = {}

-- High-level instructions that name one module first, and at their end those that it depends on.
local DEPENDENT = { update = true, load_module = true, add_module = true, delete_module = true }

local TWICE = {
  one = "%s has two instructions: systools refuses (muldef_module)",
  many = "%s have two instructions each: systools refuses (muldef_module)",
}
local UNKNOWN = {
  one = "%s is depended on, but has no instruction: systools refuses (undef_module)",
  many = "%s are depended on, but have no instruction: systools refuses (undef_module)",
}

local function dependencies_of(instruction)
  local last = #instruction > 2 and instruction[#instruction]
  return (term.kind(last) == "list" or term.kind(last) == "charlist") and last or {}
end

--- One instruction for each module, and one for each that another depends on.
function rules.modules(script)
  local at = {}
  for i = 1, #script.list do
    if DEPENDENT[effects.name(script.list[i])] then
      local module = script.list[i][2]
      if at[module] then script:collect(i, "error", "module_twice", TWICE, module) end
      at[module] = i
    end
  end
  for i = 1, #script.list do
    if DEPENDENT[effects.name(script.list[i])] then
      for _, module in ipairs(dependencies_of(script.list[i])) do
        if not at[module] then script:collect(i, "error", "unknown_dependency", UNKNOWN, module) end
      end
    end
  end
end

return { rules.modules }
