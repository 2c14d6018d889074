--- One script of a relup or an appup, and what the rules find in it.
--
-- A rule reports one thing with `report`, and what may repeat for each module or instruction with `collect`, which makes one
-- finding of all of them. Knows no rule.

local count = require "edeliver.relup.base.count"
local term = require "edeliver.relup.term"

local findings = {}

local MAX_TEXT, MAX_NAMES, MAX_POSITIONS = 100, 8, 5

-- A finding reads as a line of text.
local finding = { __tostring = function(self) return ("%s: %s: %s"):format(self.level, self.place, self.reason) end }

local script = {}
script.__index = script

--- Makes a script.
-- @param fields `list` (the instructions), `direction`, `version`, `place` (its title), `found` (the list that findings go to),
-- `is_appup`, and what the rules are to know
function findings.script(fields)
  fields.collected = {}
  return setmetatable(fields, script)
end

local function excerpt(text)
  if #text <= MAX_TEXT then return text end
  return text:sub(1, (utf8.offset(text, 0, MAX_TEXT - 2) or MAX_TEXT - 2) - 1) .. "..."
end

-- Where in a script: what follows its title.
local function place_in(self, positions)
  if #positions == 0 then return "" end
  if #positions == 1 then
    return (", instruction %d: %s"):format(positions[1], excerpt(term.format(self.list[positions[1]])))
  end
  if #positions <= MAX_POSITIONS then
    local others = table.concat(positions, ", ", 1, #positions - 1)
    return (", instructions %s and %d"):format(others, positions[#positions])
  end
  return (", instructions %d to %d"):format(positions[1], positions[#positions])
end

local function add(self, level, kind, reason, positions, subjects)
  local place = place_in(self, positions)
  self.found[#self.found + 1] = setmetatable({
    level = level, kind = kind, reason = reason, title = self.place, place = self.place .. place, direction = self.direction,
    version = self.version, position = positions[1], positions = positions, modules = subjects, count = math.max(1, #subjects),
  }, finding)
end

--- Reports one finding.
-- @param position of the instruction, or nil
-- @string level "error" or "warning"
-- @string kind a short stable name
-- @string reason
function script:report(position, level, kind, reason) add(self, level, kind, reason, { position }, {}) end

--- Reports what is wrong with one of several modules: all of the same `texts` become one finding when the rule has ended.
-- @param position of the instruction, or nil
-- @string level
-- @string kind
-- @param texts `one` and `many`: the reason, with `%s` for the module, or for all of them ("3 modules (a, b, c)"); each
-- table makes one finding
-- @param module an atom, or a text
function script:collect(position, level, kind, texts, module)
  local group
  for _, known in ipairs(self.collected) do
    if known.texts == texts then group = known end
  end
  if not group then
    group = { texts = texts, level = level, kind = kind, positions = {}, subjects = {}, known = {} }
    table.insert(self.collected, group)
  end
  if position and group.positions[#group.positions] ~= position then table.insert(group.positions, position) end
  local name = type(module) == "string" and module or term.format(module)
  if not group.known[name] then table.insert(group.subjects, name) end
  group.known[name] = true
end

local function names_of(subjects, noun)
  local names = table.concat(subjects, ", ", 1, math.min(#subjects, MAX_NAMES))
  if #subjects > MAX_NAMES then names = ("%s and %d more"):format(names, #subjects - MAX_NAMES) end
  return ("%d %s (%s)"):format(#subjects, noun or "modules", names)
end

--- Makes findings of what was collected.
function script:flush()
  for _, group in ipairs(self.collected) do
    local subjects, texts = group.subjects, group.texts
    local reason = #subjects == 1 and texts.one:format(subjects[1]) or texts.many:format(names_of(subjects, texts.noun))
    add(self, group.level, group.kind, reason, group.positions, subjects)
  end
  self.collected = {}
end

-- What differs between findings that are one: the version of the entry alone.
local function key_of(one)
  return table.concat({ one.level, one.kind, one.direction or "", one.reason, table.concat(one.positions, ",") }, "\0")
end

--- Makes one finding of those that several entries of one direction share.
-- @param found a list of findings
-- @return the list that is left, each with the `versions` of its entries
function findings.merged(found)
  local left, by_key = {}, {}
  for _, one in ipairs(found) do
    local key = key_of(one)
    local same = by_key[key]
    if same then
      table.insert(same.versions, one.version)
    else
      one.versions = { one.version }
      left[#left + 1], by_key[key] = one, one
    end
  end
  for _, one in ipairs(left) do
    local more = #one.versions - 1
    if more > 0 then
      one.place = ("%s and %s%s"):format(one.title, count.of(more, "more version"), one.place:sub(#one.title + 1))
    end
  end
  return left
end

return findings
