--- A relup and an appup as data: the version, and an entry for each way up and each way down.
--
-- The one reader of their shapes: files, the linter and what reads a node's relup ask here. Knows no file and no node.

local effects = require "edeliver.relup.script.effects"
local term = require "edeliver.relup.term"

local relup = {}

--- What a relup is, in words for messages.
relup.SHAPE = "a relup is one tuple {Vsn, [{UpFrom, Descr, Up}], [{DownTo, Descr, Down}]}"

local SIDES = { { at = 2, direction = "up", title = "up from " }, { at = 3, direction = "down", title = "down to " } }
local WAYS = { up = SIDES[1], down = SIDES[2] }

--- Whether a value is a list of Erlang's, strings among them.
function relup.is_list(value)
  local kind = term.kind(value)
  return kind == "list" or kind == "charlist"
end

--- The version as a string; nil for what is no string of Erlang's.
function relup.version(value) return relup.is_list(value) and term.text(value) or nil end

--- Whether a value is a tuple of version, ways up and ways down: what a relup and an appup have in common.
function relup.is_script_file(value)
  return term.kind(value) == "tuple" and #value == 3 and relup.version(value[1]) ~= nil
    and relup.is_list(value[2]) and relup.is_list(value[3])
end

--- Whether a value is an appup with entries: `{Vsn, [{UpFrom, Up}], [{DownTo, Down}]}`.
function relup.is_appup(value)
  if not relup.is_script_file(value) then return false end
  local count = 0
  for _, side in ipairs(SIDES) do
    for i = 1, #value[side.at] do
      local entry = value[side.at][i]
      if term.kind(entry) ~= "tuple" or #entry ~= 2 then return false end
      count = count + 1
    end
  end
  return count > 0
end

--- The instruction of a script that restarts the emulator: "restart_new_emulator", "restart_emulator", or nil.
function relup.restart_in(instructions)
  for i = 1, #instructions do
    local name = effects.restarts(instructions[i])
    if name then return name end
  end
  return nil
end

--- One entry: `{ direction = "up" | "down", version =, title =, instructions =, restart = as restart_in gives it }`.
-- @param entry `{Version, Description, Instructions}`, or `{Version, Instructions}` of an appup, whose version may be a binary:
-- a regular expression
-- @string direction
-- @return nil where it is no such tuple
function relup.entry(entry, direction)
  if term.kind(entry) ~= "tuple" or #entry < 2 or #entry > 3 then return nil end
  local version = relup.version(entry[1]) or #entry == 2 and term.text(entry[1]) or nil
  if not version or not relup.is_list(entry[#entry]) then return nil end
  return {
    direction = direction, version = version, title = WAYS[direction].title .. version,
    instructions = entry[#entry], restart = relup.restart_in(entry[#entry]),
  }
end

--- All entries of a relup, the ways up first.
-- @return[1] a list of what `entry` gives
-- @return[2] nil, message
function relup.entries(value)
  if not relup.is_script_file(value) then return nil, relup.SHAPE end
  local found = {}
  for _, side in ipairs(SIDES) do
    for i = 1, #value[side.at] do
      local given = value[side.at][i]
      local entry = term.kind(given) == "tuple" and #given == 3 and relup.entry(given, side.direction)
      if not entry then
        return nil, ("%s; entry %d of its ways %s has another shape"):format(relup.SHAPE, i, side.direction)
      end
      found[#found + 1] = entry
    end
  end
  return found
end

--- The entry that release_handler takes: the first of that direction and version; nil where there is none.
-- @param entries as `entries` gives them
function relup.find(entries, direction, version)
  for _, entry in ipairs(entries) do
    if entry.direction == direction and entry.version == version then return entry end
  end
  return nil
end

return relup
