--- What the changed modules' files say of an upgrade: structs, code_change, supervisors, applications' children, NIFs.
--
-- By attributes, literals and instructions of both releases' files. It judges nothing and asks no node: what a supervisor's
-- `init` or an application's `start` would give is told by the modules that they mention.
--
-- @module edeliver.relup.plan.facts

local facts = {}

local function list_of(set)
  local names = {}
  for name in pairs(set) do names[#names + 1] = name end
  table.sort(names)
  return names
end

-- Modules whose mention makes no child.
local BUILT_IN = { kernel = true, stdlib = true, elixir = true, logger = true, sasl = true }

-- Of the atoms that a function mentions, those that are modules of the release and could be children.
local function children_in(release, mentioned, own)
  local children = {}
  for name in pairs(mentioned and mentioned.atoms or {}) do
    local module = release.modules[name]
    if module and name ~= own and not BUILT_IN[module.application or ""] then children[name] = true end
  end
  return children
end

-- What makes the first state: of servers and supervisors, of channels, of LiveViews.
local BEGINNINGS = { { "init", 1 }, { "join", 3 }, { "mount", 3 } }

local function beginning_of(module)
  for _, it in ipairs(BEGINNINGS) do
    if module:exports(("%s/%d"):format(it[1], it[2])) then return module:mentions(it[1], it[2]) end
  end
  return nil
end

-- What is asked of one module's file. Instructions are read only of those functions that can matter.
local function describe(release, name, module, is_callback)
  local about = {
    is_server = module:is_server(), is_supervisor = module:is_supervisor(), has_on_load = module:has_on_load(),
    has_nif = module:has_nif(), is_component = module:is_live_component(), struct = module:struct(),
    has_struct = module:exports "__struct__/0", exports_code_change = module:exports "code_change/3",
  }
  if about.is_server then about.code_change = module:code_change() end
  if about.is_server or about.is_supervisor then about.init = beginning_of(module) end
  if about.is_supervisor then about.children = children_in(release, about.init, name) end
  if is_callback then
    about.start = module:mentions("start", 2)
    about.started = children_in(release, about.start, name)
  end
  return about
end

local function describe_all(release, names)
  local found, callbacks = {}, {}
  for _, application in pairs(release.applications) do callbacks[application.app.mod or ""] = true end
  local done, message, code = release:visit_modules(names, function(name, module)
    local sound, problem, why = module:check()
    if not sound then return false, problem, why end
    found[name] = describe(release, name, module, callbacks[name])
  end)
  if not done then return nil, message, code end
  return found
end

local function only_in(a, b)
  local found = {}
  for name in pairs(a or {}) do
    if (b or {})[name] == nil then found[name] = true end -- a field's default may be false
  end
  return list_of(found)
end

-- Structs -------------------------------------------------------------------------------------------------------------

-- A struct whose fields are others; nil where they are the same, or are not known.
local function struct_change(name, old, new)
  if not old.struct or not new.struct then return nil end
  local added, removed = only_in(new.struct, old.struct), only_in(old.struct, new.struct)
  if #added == 0 and #removed == 0 then return nil end
  return { module = name, added = added, removed = removed }
end

-- Servers that begin with such a struct and keep their state as it is when code changes. Those that did not change count, too:
-- their state is of the changed struct all the same.
local function holders_of(struct, before, after)
  local holders = {}
  for name, about in pairs(before) do
    local later = after[name]
    local begins_with_it = about.init and (name == struct.module and about.is_server or about.init.atoms[struct.module])
    if begins_with_it and about.is_server and later and later.code_change ~= "own" then holders[name] = true end
  end
  return list_of(holders)
end

-- Supervisors and applications ----------------------------------------------------------------------------------------

local function supervisor_change(name, old, new)
  if not old.children or not new.children then return nil end
  local gained, lost = only_in(new.children, old.children), only_in(old.children, new.children)
  if #gained == 0 and #lost == 0 then return nil end
  return { module = name, gained = gained, lost = lost, found_by = "literals" }
end

local function application_change(old, new, application, before, after)
  local from = old.applications[application]
  local to = new.applications[application]
  local module = to and to.app.mod
  if not from or not module or from.app.mod ~= module then return nil end
  local a, b = before[module], after[module]
  if not a or not b or not a.started or not b.started then return nil end
  local gained, lost = only_in(b.started, a.started), only_in(a.started, b.started)
  if #gained == 0 and #lost == 0 then return nil end
  return { application = application, module = module, gained = gained, lost = lost, found_by = "literals" }
end

-- What a child's module is called for, and what says nothing of which children there are.
local OF_A_CHILD = { start_link = true, child_spec = true, start = true, __struct__ = true }

-- The changed modules that help to list children; true where the list cannot be read at all.
local function helpers(own, mentioned, is_changed)
  if not mentioned then return true end
  local found = {}
  for called in pairs(mentioned.calls) do
    local module, name = called:match "^(.*):(.-)/%d+$"
    if module ~= own and is_changed[module] and not OF_A_CHILD[name] then found[module] = true end
  end
  return found
end

-- A list of children of which more than the module's own code decides.
local function unknown_children(name, old, new, is_changed)
  local a, b = helpers(name, old, is_changed), helpers(name, new, is_changed)
  if a == true or b == true then return { module = name, by = { name } } end
  for module in pairs(b) do a[module] = true end
  local by = list_of(a)
  return #by > 0 and { module = name, by = by } or nil
end

-- Modules that did not change, of applications in which something did: their state may be of a struct that changed all the same.
local function unchanged_beside(old, modules)
  local is_changed, applications, names = {}, {}, {}
  for _, name in ipairs(modules.changed) do
    is_changed[name] = true
    applications[old.modules[name].application or ""] = true
  end
  for name, module in pairs(old.modules) do
    local is_beside = applications[module.application or ""] and not BUILT_IN[module.application or ""]
    if module.behaves and is_beside and not is_changed[name] then
      names[name] = true
    end
  end
  return names
end

local function find_changes(found, modules, before, after)
  local is_changed = {}
  for _, name in ipairs(modules.changed) do is_changed[name] = true end
  for _, name in ipairs(modules.changed) do
    local a, b = before[name], after[name]
    table.insert(found.structs, struct_change(name, a, b))
    table.insert(found.supervisors, supervisor_change(name, a, b))
    if a.has_struct and b.has_struct and not (a.struct and b.struct) then table.insert(found.unknown_structs, name) end
    if a.is_supervisor and b.is_supervisor then
      table.insert(found.unknown_children, unknown_children(name, a.init, b.init, is_changed))
    end
    if a.started and b.started then
      table.insert(found.unknown_children, unknown_children(name, a.start, b.start, is_changed))
    end
    if b.has_nif then
      table.insert(found.nifs, name)
    elseif b.has_on_load then
      table.insert(found.on_load, name)
    end
  end
end

--- Finds out.
-- @tparam table old a release
-- @tparam table new a release
-- @tparam table modules what changes.modules gave
-- @treturn[1] table `structs` (`module`, `added`, `removed` fields, `holders`: servers with no code_change of their own),
-- `supervisors` (`module`, `gained`, `lost`), `applications` (`application`, `module`, `gained`, `lost`), `on_load` and `nifs`
-- (names of changed modules), `unknown_structs` (names), `unknown_children` (`module`, `by`: the modules that decide, too),
-- `before` and `about` (what is known of each changed module, as it was and as it will be)
-- @return[2] nil, message, code
function facts.collect(old, new, modules)
  local before, message, code = describe_all(old, modules.changed)
  if not before then return nil, message, code end
  local after
  after, message, code = describe_all(new, modules.changed)
  if not after then return nil, message, code end
  local found = { structs = {}, supervisors = {}, applications = {}, on_load = {}, nifs = {}, unknown_structs = {},
    unknown_children = {}, unanswered = {}, before = before, about = after }
  find_changes(found, modules, before, after)
  if #found.structs > 0 then
    local others
    others, message, code = describe_all(old, unchanged_beside(old, modules))
    if not others then return nil, message, code end
    for name, about in pairs(others) do before[name], after[name] = about, about end
    for _, struct in ipairs(found.structs) do struct.holders = holders_of(struct, before, after) end
  end
  for _, application in ipairs(new.order) do
    table.insert(found.applications, application_change(old, new, application, before, after))
  end
  return found
end

return facts
