--- A relup that any release_handler takes, by systools' own rules, from plans: one for each release that it leads from.
--
-- Appups of the release win over generated instructions. What no relup can reach is said: applications that changed under the
-- same version, consolidated protocols. Writes no file.
--
-- @module edeliver.relup.plan.relup

local appup = require "edeliver.relup.plan.appup"
local consult = require "edeliver.relup.consult"
local term = require "edeliver.relup.term"
local translate = require "edeliver.relup.plan.translate"

local relup = {}

local atom, tuple, list, charlist = term.atom, term.tuple, term.list, term.charlist

-- Applications as translate knows them, in the order of the .rel file.
local function applications_of(release)
  local found = {}
  for i, name in ipairs(release.order) do
    local application = release.applications[name]
    found[i] = {
      name = name, version = application.version, start_type = application.start_type, modules = application.app.modules,
    }
  end
  return found
end

local function only_in(a, b)
  local found = {}
  for _, name in ipairs(a.order) do
    if not b.applications[name] then found[#found + 1] = a.applications[name] end
  end
  return found
end

-- The scripts of one direction: added applications first, removed ones last.
local function scripts_of(from, to, changed)
  local scripts = {}
  for _, application in ipairs(only_in(to, from)) do
    scripts[#scripts + 1] = list { tuple { atom "add_application", atom(application.name), atom(application.start_type) } }
  end
  table.move(changed, 1, #changed, #scripts + 1, scripts)
  for _, application in ipairs(only_in(from, to)) do
    scripts[#scripts + 1] = list { tuple { atom "remove_application", atom(application.name) } }
  end
  if from.erts ~= to.erts then table.insert(scripts, 1, list { atom "restart_new_emulator" }) end
  return scripts
end

-- The instructions of all applications whose version changes.
local function changed_scripts(made)
  local up, down, found_by = {}, {}, {}
  for _, name in ipairs(made.new.order) do
    local before, after = made.old.applications[name], made.new.applications[name]
    if before and before.version ~= after.version then
      local found, message, code = appup.of(made, name)
      if not found then return nil, message, code end
      up[#up + 1], down[#down + 1] = found.up, found.down
      found_by[name] = found.found_by
    end
  end
  return { up = up, down = down, found_by = found_by }
end

-- What a relup leaves as it is.
local function unreached(made)
  local notes = {}
  for _, it in ipairs(made.applications) do
    if it.change == "changed_under_same_version" then
      notes[#notes + 1] = ("%s has other content under the same version %s: the relup does not load it."):format(it.name, it.to)
    end
  end
  for _, name in ipairs(made.protocols) do
    notes[#notes + 1] = ("The protocol %s consolidates anew: no relup reaches that."):format((name:gsub("^Elixir%.", "")))
  end
  return notes
end

local function has_sasl(release)
  if release.applications.sasl then return true end
  return nil, ("%s has no sasl, and no release without it can be upgraded"):format(release.path), "missing_sasl"
end

local function entries_of(made, description)
  local ok, message, code = has_sasl(made.old)
  if not ok then return nil, message, code end
  local changed
  changed, message, code = changed_scripts(made)
  if not changed then return nil, message, code end
  local new, old = applications_of(made.new), applications_of(made.old)
  local up, down
  up, message, code = translate.scripts("up", scripts_of(made.old, made.new, changed.up), new, old)
  if not up then return nil, message, code end
  down, message, code = translate.scripts("down", scripts_of(made.new, made.old, changed.down), old, new)
  if not down then return nil, message, code end
  local version = charlist(made.from.version)
  return { up = tuple { version, description, up }, down = tuple { version, description, down }, found_by = changed.found_by }
end

--- Makes one.
-- @tparam table plans a list, all to the same release
-- @treturn[1] table `relup` (a term), `text` (of the file), `found_by` (for each application "appup" or "generated"), `notes`
-- (what it does not reach)
-- @return[2] nil, message, code
function relup.make(plans)
  local ok, message, code = has_sasl(plans[1].new)
  if not ok then return nil, message, code end
  local up, down, found_by, notes = {}, {}, {}, {}
  for _, made in ipairs(plans) do
    local entries
    entries, message, code = entries_of(made, list {})
    if not entries then return nil, ("from %s: %s"):format(made.from.version, message), code end
    -- systools puts the last one first.
    table.insert(up, 1, entries.up)
    table.insert(down, 1, entries.down)
    for name, how in pairs(entries.found_by) do found_by[name] = how end
    table.move(unreached(made), 1, #unreached(made), #notes + 1, notes)
  end
  local made = tuple { charlist(plans[1].to.version), list(up), list(down) }
  return { relup = made, text = consult.write({ made }, "%% coding: utf-8\n"), found_by = found_by, notes = notes }
end

--- The appups that were generated, as files.
-- @tparam table plans a list, all to the same release
-- @return a table from each application's name to the text of its .appup
function relup.appups(plans)
  local entries, texts = {}, {}
  for _, made in ipairs(plans) do
    for _, name in ipairs(made.new.order) do
      local before, after = made.old.applications[name], made.new.applications[name]
      if before and before.version ~= after.version and not after.appup then
        local found = appup.generate(made, name)
        entries[name] = entries[name] or {}
        table.insert(entries[name], { from = before.version, up = found.up, down = found.down })
      end
    end
  end
  for name, list_of in pairs(entries) do texts[name] = appup.text(plans[1].new.applications[name].version, list_of) end
  return texts
end

return relup
