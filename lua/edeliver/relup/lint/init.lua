--- Looks for what is wrong with a relup, before a node finds it.
--
-- Every finding has its place and its reason. Errors will fail, or hang, an upgrade; warnings are for somebody to look at.
-- What systools makes has no errors.
--
-- @module edeliver.relup.lint

local term = require "edeliver.relup.term"
local beam = require "edeliver.relup.lint.beam"
local shapes = require "edeliver.relup.lint.shapes"
local rules = require "edeliver.relup.lint.script"

local RESTART_NEW_EMULATOR = term.atom "restart_new_emulator"

local lint = {}

local function is_list(value) return term.kind(value) == "list" or term.kind(value) == "charlist" end

local function version_text(value) return is_list(value) and term.text(value) or nil end

local function describe(place, position, entry)
  if not position then return place end
  local text = term.format(entry)
  if #text > 100 then text = text:sub(1, (utf8.offset(text, 0, 98) or 98) - 1) .. "..." end
  return ("%s, instruction %d: %s"):format(place, position, text)
end

-- A finding reads as a line of text.
local finding = { __tostring = function(self) return ("%s: %s: %s"):format(self.level, self.place, self.reason) end }

local script_methods = {}
script_methods.__index = script_methods

function script_methods:report(position, level, kind, reason)
  self.findings[#self.findings + 1] = setmetatable({
    level = level, kind = kind, reason = reason, direction = self.direction, version = self.version, position = position,
    place = describe(self.place, position, self.list and self.list[position]),
  }, finding)
end

local function check_script(script)
  local is_sound = true
  for i = 1, #script.list do
    local kind, reason = shapes.problem(script.list[i])
    if kind then
      script:report(i, "error", kind, reason)
      is_sound = is_sound and kind == "high_level"
    end
  end
  -- The rules read instructions by their shapes.
  if is_sound then
    for _, rule in ipairs(rules) do rule(script) end
  end
end

local function check_entry(findings, entry, direction, folders)
  local script = setmetatable({ findings = findings, direction = direction, place = direction }, script_methods)
  local version = term.kind(entry) == "tuple" and #entry == 3 and version_text(entry[1])
  if not version or not is_list(entry[3]) then
    script:report(nil, "error", "bad_shape", ("%s is no {Version, Description, Instructions}"):format(term.format(entry)))
    return
  end
  script.version, script.list = version, entry[3]
  script.place = direction == "up" and "up from " .. version or "down to " .. version
  if not folders.version or folders.version == version then
    script.before, script.after = folders.old, folders.new
    if direction == "down" then script.before, script.after = folders.new, folders.old end
  end
  if not script.before or not script.after then
    script.before, script.after = nil, script.after or script.before
  elseif script.list[1] == RESTART_NEW_EMULATOR then
    script.before = script.after -- the new release runs from the first instruction on
  end
  check_script(script)
end

local function list_folders(options)
  local folders = { version = options.version }
  for _, side in ipairs { "old", "new" } do
    if options[side] then
      local modules, message = beam.modules(options[side])
      if not modules then return nil, message, "system" end
      folders[side] = modules
    end
  end
  return folders
end

--- Checks a relup. The module itself can be called, too: `require "edeliver.relup.lint"(relup)`.
-- @param relup the term `{Vsn, [{UpFrom, Descr, Up}], [{DownTo, Descr, Down}]}`
-- @param[opt] options `old` and `new`: lists of the ebin folders of both releases; `version`: the old release's version,
-- where the relup has entries for several
-- @treturn[1] table a list of findings, empty where nothing was found. Each has `level` ("error" or "warning"), `kind` (a
-- short stable name), `reason`, `place` (a text), `direction`, `version` and, where there is one, `position`; `tostring`
-- of it is a line
-- @treturn[2] nil
-- @treturn[2] string message
-- @treturn[2] string "system": a folder cannot be listed
function lint.relup(relup, options)
  local folders, message, code = list_folders(options or {})
  if not folders then return nil, message, code end
  local findings = {}
  local is_relup = term.kind(relup) == "tuple" and #relup == 3 and version_text(relup[1])
  if not is_relup or not is_list(relup[2]) or not is_list(relup[3]) then
    local script = setmetatable({ findings = findings, place = "relup" }, script_methods)
    script:report(nil, "error", "bad_shape", "a relup is {Version, [{UpFrom, Descr, Up}], [{DownTo, Descr, Down}]}")
    return findings
  end
  for _, entry in ipairs(relup[2]) do check_entry(findings, entry, "up", folders) end
  for _, entry in ipairs(relup[3]) do check_entry(findings, entry, "down", folders) end
  return findings
end

return setmetatable(lint, { __call = function(_, relup, options) return lint.relup(relup, options) end })
