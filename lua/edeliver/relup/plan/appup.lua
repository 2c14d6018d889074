--- The instructions of one application's upgrade: those of its own appup or, where it has none, generated ones.
--
-- Generated: new modules are added, supervisors updated as such, modules with a code_change updated while their processes are
-- suspended, all others loaded, and removed ones deleted; the way down is the same, backwards. Protocols are left out: what runs
-- is the consolidated one, which no relup reaches. Reads no file.
--
-- @module edeliver.relup.plan.appup

local consult = require "edeliver.relup.consult"
local pattern = require "edeliver.relup.plan.pattern"
local term = require "edeliver.relup.term"

local appup = {}

local atom, tuple, list, charlist = term.atom, term.tuple, term.list, term.charlist
local ADVANCED = tuple { atom "advanced", list {} }

-- Modules of one application, in order, of those that a plan names.
local function of_application(release, names, application)
  local found = {}
  for _, name in ipairs(names) do
    local module = release.modules[name]
    local is_its = module and module.application == application and not module.consolidated
    if is_its then found[#found + 1] = name end
  end
  return found
end

local function change_of(name, about)
  if about.is_supervisor then return tuple { atom "update", atom(name), atom "supervisor" } end
  if about.exports_code_change then return tuple { atom "update", atom(name), ADVANCED } end
  return tuple { atom "load_module", atom(name) }
end

local function instructions(word, names)
  local made = {}
  for i, name in ipairs(names) do made[i] = tuple { atom(word), atom(name) } end
  return made
end

local function append(to, more) return table.move(more, 1, #more, #to + 1, to) end

--- Generates.
-- @tparam table made a plan
-- @string application its name
-- @treturn table `up` and `down`: lists of instructions
function appup.generate(made, application)
  local old, new = made.old, made.new
  local added = of_application(new, made.modules.added, application)
  local removed = of_application(old, made.modules.removed, application)
  local changed, back = {}, {}
  for i, name in ipairs(of_application(new, made.modules.changed, application)) do
    changed[i] = change_of(name, made.facts.about[name])
    table.insert(back, 1, changed[i])
  end
  return {
    up = append(append(instructions("add_module", added), changed), instructions("delete_module", removed)),
    down = append(append(instructions("add_module", removed), back), instructions("delete_module", added)),
  }
end

-- The first entry for a version; nil, message, code where a pattern before it cannot be read.
local function entry_for(entries, version)
  for _, entry in ipairs(entries) do
    local is_it, message, code = entry.version == version, nil, nil
    if not is_it and entry.is_pattern then is_it, message, code = pattern.matches(entry.version, version) end
    if is_it == nil then return nil, message, code end
    if is_it then return entry end
  end
  return false
end

--- The instructions for an application whose version changes.
-- @tparam table made a plan
-- @string application its name
-- @treturn[1] table `up` and `down` (lists of instructions), `found_by`: "appup" or "generated"
-- @return[2] nil, message, code
function appup.of(made, application)
  local new, from = made.new.applications[application], made.old.applications[application].version
  if new.appup_problem then return nil, ("%s's appup: %s"):format(application, new.appup_problem), "syntax" end
  local found = appup.generate(made, application)
  found.found_by = "generated"
  if not new.appup then return found end
  for _, direction in ipairs { "up", "down" } do
    local entry, message, code = entry_for(new.appup[direction], from)
    if entry == nil then return nil, ("%s's appup: %s"):format(application, message), code end
    if entry == false then
      return nil, ("%s's appup has no entry %s %s; add one, or leave the appup out of the release"):format(application,
        direction == "up" and "up from" or "down to", from), "no_entry"
    end
    found[direction], found.found_by = entry.instructions, "appup"
  end
  return found
end

--- The text of an .appup file that leads from several versions.
-- @string version of the application
-- @tparam table entries a list of `{ from =, up =, down = }`
function appup.text(version, entries)
  local up, down = {}, {}
  for i, entry in ipairs(entries) do
    up[i] = tuple { charlist(entry.from), list(entry.up) }
    down[i] = tuple { charlist(entry.from), list(entry.down) }
  end
  return consult.write({ tuple { charlist(version), list(up), list(down) } }, "%% coding: utf-8\n")
end

return appup
