--- Modifications: instructions put together, and applied to a whole relup.
--
-- A modification has a `priority` and says whether it is `usable`; the usable one with the highest priority is taken. Its
-- `modify_relup` changes one instructions value; `modification.apply` does that to every entry of a relup.
--
-- @module edeliver.relup.modification

local term = require "edeliver.relup.term"
local relup_of = require "edeliver.relup.script.relup"
local up_and_down = require "edeliver.relup.script.up_and_down"
local effects = require "edeliver.relup.script.effects"
local guard_call = require "edeliver.relup.script.guard_call"

local POINT_OF_NO_RETURN = term.atom "point_of_no_return"

local modification = {
  PRIORITY_NONE = 0, -- switches a modification off without taking it away
  PRIORITY_DEFAULT = 1,
  PRIORITY_USER = 1000,
}

--- Makes a modification of a definition, which needs `modify_relup(instructions, config)`.
-- @param definition also `priority` (1000 unless given) and `usable(config)` (always, unless given)
-- @return the definition, completed
function modification.define(definition)
  if type(definition.modify_relup) ~= "function" then error("a modification needs modify_relup", 2) end
  definition.priority = definition.priority or modification.PRIORITY_USER
  definition.usable = definition.usable or function() return true end
  return definition
end

--- The usable modification with the highest priority: of the built-in ones and those given. Of equals the first given.
-- @param config `modification` settles the matter
-- @param[opt] candidates a list of modifications
function modification.choose(config, candidates)
  if config.modification then return config.modification end
  local chosen
  local function consider(candidate)
    if candidate.usable(config) and (not chosen or candidate.priority > chosen.priority) then chosen = candidate end
  end
  for _, candidate in ipairs(candidates or {}) do consider(candidate) end
  consider(require "edeliver.relup.phoenix_modification")
  consider(require "edeliver.relup.default_modification")
  return chosen
end

-- Modules of the application itself, as the upgrade loads them: same name, and the release's version.
local function changed_modules(up_list, version, name)
  local modules = {}
  for _, entry in ipairs(up_list) do
    local app, app_version, loaded = effects.object_code(entry)
    if app and term.text(app) == name and term.text(app_version) == version then
      for _, module in ipairs(loaded) do modules[#modules + 1] = module end
    end
  end
  return term.list(modules)
end

-- Of entries with one version release_handler takes the first.
local function entries_by_version(entries)
  local found = {}
  for i, entry in ipairs(entries) do
    local version = term.text(entry[1])
    found[version] = found[version] or i
  end
  return found
end

local function copy(list) return term.list(table.move(list, 1, #list, 1, {})) end

-- A script without a point of no return is behind it as a whole: said in so many words, so that what is to be before it can be.
local function with_point_of_no_return(script)
  for i = 1, #script do
    if effects.is_point_of_no_return(script[i]) then return script end
  end
  return term.list(table.move(script, 1, #script, 2, { POINT_OF_NO_RETURN }))
end

-- Puts one changed script into its entry, unless it restarts the emulator or has not changed.
local function put(entries, position, script)
  local entry = position and entries[position]
  if not entry or relup_of.restart_in(entry[3]) or term.equal(script, with_point_of_no_return(entry[3])) then return end
  entries[position] = term.tuple { entry[1], entry[2], script }
end

--- Applies a modification to every entry of a relup, up and down. Calls of the guard behind the point of no return are caught:
-- see `edeliver.relup.script.guard_call`.
-- An entry for upgrades and the one for downgrades to the same version make one instructions value; where there is only
-- one of them the other side is an empty list, and stays out of the relup.
-- A script without a point of no return gets one at its beginning, where all of it is behind that point as before.
-- Entries that restart the emulator stay as they are: all connections end with the old one, and the new one has no guard to call.
-- @param relup the term `{Vsn, [{UpFrom, Descr, Up}], [{DownTo, Descr, Down}]}`
-- @param config as the instructions take it
-- @param[opt] chosen a modification; by default what `choose` gives
-- @return a new relup
function modification.apply(relup, config, chosen)
  chosen = chosen or modification.choose(config)
  local version = term.text(relup[1])
  local ups, downs = copy(relup[2]), copy(relup[3])
  local up_at, down_at = entries_by_version(ups), entries_by_version(downs)
  local function modify(other)
    local up, down = up_at[other], down_at[other]
    local function script_of(entries, at) return at and with_point_of_no_return(entries[at][3]) or term.list {} end
    local up_list = script_of(ups, up)
    local changed = chosen.modify_relup({
      up_instructions = up_list,
      down_instructions = script_of(downs, down),
      up_version = version,
      down_version = other,
      changed_modules = changed_modules(up_list, version, term.text(config.name)),
    }, config)
    if not up_and_down.is(changed) then error("modify_relup must give an instructions value", 0) end
    put(ups, up, guard_call.catch(changed.up_instructions))
    put(downs, down, guard_call.catch(changed.down_instructions))
  end
  local done = {}
  for _, entries in ipairs { relup[2], relup[3] } do
    for _, entry in ipairs(entries) do
      local other = term.text(entry[1])
      if not done[other] then modify(other) end
      done[other] = true
    end
  end
  return term.tuple { relup[1], ups, downs }
end

return modification
