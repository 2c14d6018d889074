--- Looks for what is wrong with a relup or an appup, before a node or systools finds it.
--
-- Every finding has its place and its reason. Errors will fail, or hang, an upgrade; warnings want a look.
-- What systools makes has no errors.
--
-- @module edeliver.relup.lint

local beam = require "edeliver.relup.lint.beam"
local findings = require "edeliver.relup.lint.findings"
local relup_of = require "edeliver.relup.script.relup"
local shapes = require "edeliver.relup.lint.shapes"
local term = require "edeliver.relup.term"

local lint = {}

local RULES = {}
for _, name in ipairs { "places", "steps", "processes", "code", "object_code" } do
  for _, rule in ipairs(require("edeliver.relup.lint." .. name)) do RULES[#RULES + 1] = rule end
end
local APPUP_RULES = table.move(RULES, 1, #RULES, 1, {})
for _, rule in ipairs(require "edeliver.relup.lint.appup") do APPUP_RULES[#APPUP_RULES + 1] = rule end

local APPUP = "an appup is one tuple {Vsn, [{UpFrom, Up}], [{DownTo, Down}]}"
local HIGH_LEVEL = {
  one = "%s belongs into an appup: systools translates it, the release handler does not know it",
  many = "%s belong into an appup: systools translates them, the release handler does not know them",
  noun = "kinds of instructions",
}

-- Whether all instructions have shapes that the rules can read.
local function check_shapes(script)
  local is_sound = true
  for i = 1, #script.list do
    local kind, reason, name = shapes.problem(script.list[i])
    if kind == "high_level" then
      if not script.is_appup then script:collect(i, "error", kind, HIGH_LEVEL, name) end
    elseif kind then
      script:report(i, "error", kind, reason)
      is_sound = false
    end
  end
  script:flush()
  return is_sound
end

local function check_script(script)
  if not check_shapes(script) then return end
  for _, rule in ipairs(script.is_appup and APPUP_RULES or RULES) do
    rule(script)
    script:flush()
  end
end

-- Which modules there are before and after, where the ebin folders are known.
local function know_code(script, folders)
  if folders.version and folders.version ~= script.version then return end
  local before, after = folders.old, folders.new
  if script.direction == "down" then before, after = after, before end
  if not after then return end
  script.after, script.after_folders = after.modules, after.folders
  -- A script that begins with a new emulator runs on the new release from there on.
  local starts_anew = relup_of.restart_in { script.list[1] } == "restart_new_emulator"
  script.before = starts_anew and after.modules or before and before.modules
end

local function check_entry(found, value, direction, folders, is_appup)
  local is_tuple = term.kind(value) == "tuple" and #value == (is_appup and 2 or 3)
  local entry = is_tuple and relup_of.entry(value, direction)
  if not entry then
    findings.script { found = found, direction = direction, place = direction }:report(nil, "error", "bad_shape",
      ("%s is no {Version, %sInstructions}"):format(term.format(value), is_appup and "" or "Description, "))
    return nil
  end
  local script = findings.script {
    found = found, direction = direction, version = entry.version, place = entry.title, list = entry.instructions,
    is_appup = is_appup,
  }
  know_code(script, folders)
  check_script(script)
  return entry
end

local function list_folders(options)
  local given = { version = options.version }
  for _, side in ipairs { "old", "new" } do
    if options[side] then
      local modules, message = beam.modules(options[side])
      if not modules then return nil, message, "system" end
      given[side] = { modules = modules, folders = options[side] }
    end
  end
  return given
end

local TWICE = "%s is there twice: the second is never used"

local function check(value, options, is_appup)
  local folders, message, code = list_folders(options or {})
  if not folders then return nil, message, code end
  local found = {}
  local whole = findings.script { found = found, place = is_appup and "appup" or "relup" }
  if not relup_of.is_script_file(value) then
    whole:report(nil, "error", "bad_shape", is_appup and APPUP or relup_of.SHAPE)
    return found
  end
  local titles = {}
  for side, direction in ipairs { false, "up", "down" } do
    for i = 1, direction and #value[side] or 0 do
      local entry = check_entry(found, value[side][i], direction, folders, is_appup)
      if entry and titles[entry.title] then whole:report(nil, "warning", "entry_twice", TWICE:format(entry.title)) end
      if entry then titles[entry.title] = true end
    end
  end
  if #value[2] == 0 and #value[3] == 0 then
    -- Applications that never change what runs have such appups.
    whole:report(nil, is_appup and "warning" or "error", "no_way", "it has no way up and no way down: "
      .. (is_appup and "systools can make no relup of it" or "release_handler refuses every install"))
  end
  return findings.merged(found)
end

--- Checks a relup. The module itself can be called, too, with a relup or an appup: `require "edeliver.relup.lint"(relup)`.
-- @param relup the term `{Vsn, [{UpFrom, Descr, Up}], [{DownTo, Descr, Down}]}`
-- @param[opt] options `old` and `new`: lists of the ebin folders of both releases; `version`: the old release's version,
-- where the relup has entries for several
-- @treturn[1] table a list of findings, empty where nothing was found. Each has `level` ("error" or "warning"), `kind` (a
-- short stable name), `reason`, `place` (a text), `direction`, `version`, `versions` (of all entries that have it), `position`,
-- `positions`, `modules` (or kinds of instructions) that it is about, and their `count`; `tostring` of it is a line
-- @treturn[2] nil
-- @treturn[2] string message
-- @treturn[2] string "system": a folder cannot be listed
function lint.relup(relup, options) return check(relup, options, false) end

--- Checks an appup, by what systools refuses and what comes of it in a relup.
-- @param appup the term `{Vsn, [{UpFrom, Up}], [{DownTo, Down}]}`
-- @param[opt] options as `relup` takes them
-- @return as `relup`
function lint.appup(appup, options) return check(appup, options, true) end

return setmetatable(lint, { __call = function(_, value, options)
  return check(value, options, relup_of.is_appup(value))
end })
