--- What add_application, remove_application and restart_application become, by systools_rc's rules.
--
-- Applications are `{ name =, version =, modules =, start_type = }`. Where one is not there it raises a refusal.
--
-- @module edeliver.relup.plan.application_instructions

local refuse = require "edeliver.relup.plan.refuse"
local term = require "edeliver.relup.term"

local application_instructions = {}

local atom, tuple, list = term.atom, term.tuple, term.list
local BRUTAL, EMPTY = atom "brutal_purge", list {}

local function find(applications, name)
  for _, application in ipairs(applications) do
    if application.name == term.text(name) then return application end
  end
  return nil
end

local function the_application(applications, name)
  return find(applications, name) or refuse("no_such_application", "The release has no application %s.", term.format(name))
end

local function modules_of(application)
  local modules = {}
  for k, name in ipairs(application.modules) do modules[k] = atom(name) end
  return modules
end

local function apply(fun, arguments) return tuple { atom "apply", tuple { atom "application", atom(fun), list(arguments) } } end

local function add_modules(into, application)
  for _, module in ipairs(modules_of(application)) do
    into[#into + 1] = tuple { atom "load_module", module, BRUTAL, BRUTAL, EMPTY }
  end
end

local function remove_modules(into, application)
  local modules = modules_of(application)
  for _, module in ipairs(modules) do into[#into + 1] = tuple { atom "remove", tuple { module, BRUTAL, BRUTAL } } end
  into[#into + 1] = tuple { atom "purge", list(modules) }
end

--- By the instruction's name: appends what it becomes. It gets the list, the instruction, and the applications that there will be
-- and that there are.
application_instructions.by_name = {
  add_application = function(into, i, new)
    add_modules(into, the_application(new, i[2]))
    local start_type = term.text(i[3])
    if start_type == "load" then
      into[#into + 1] = apply("load", { i[2] })
    elseif start_type ~= "none" then
      into[#into + 1] = apply("start", { i[2], i[3] })
    end
  end,
  remove_application = function(into, i, new, old)
    if find(new, i[2]) then refuse("removed_application_present", "%s is removed, and still there.", term.format(i[2])) end
    local application = the_application(old, i[2])
    into[#into + 1] = apply("stop", { i[2] })
    remove_modules(into, application)
    into[#into + 1] = apply("unload", { i[2] })
  end,
  restart_application = function(into, i, new, old)
    into[#into + 1] = apply("stop", { i[2] })
    remove_modules(into, the_application(old, i[2]))
    add_modules(into, the_application(new, i[2]))
    local start_type = the_application(new, i[2]).start_type or "permanent"
    if start_type == "load" then
      into[#into + 1] = apply("load", { i[2] })
    elseif start_type ~= "none" then
      into[#into + 1] = apply("start", { i[2], atom(start_type) })
    end
  end,
}

return application_instructions
