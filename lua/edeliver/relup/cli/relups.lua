--- Relup files, as the commands on files see them: entries, up and down, each a list of instructions.
--
-- @module edeliver.relup.cli.relups

local file = require "edeliver.relup.file"
local term = require "edeliver.relup.term"

local relups = {}

local function is_relup(value)
  return term.kind(value) == "tuple" and #value == 3 and term.text(value[1]) ~= nil
    and term.kind(value[2]) == "list" and term.kind(value[3]) == "list"
end

local function add(entries, list, direction)
  for _, entry in ipairs(list) do
    if term.kind(entry) ~= "tuple" or #entry ~= 3 or term.text(entry[1]) == nil then return false end
    local version = term.text(entry[1])
    entries[#entries + 1] = {
      direction = direction, version = version, instructions = entry[3],
      title = direction == "up" and "up from " .. version or "down to " .. version,
    }
  end
  return true
end

--- Reads a relup file.
-- @return[1] `{ version =, term =, entries = { { direction = "up" | "down", version =, title =, instructions = } } }`
-- @return[2] nil, message, code
function relups.read(path)
  local read, message, code = file.read(path)
  if not read then return nil, message, code end
  local relup, entries = read.terms[1], {}
  if #read.terms ~= 1 or not is_relup(relup) or not add(entries, relup[2], "up") or not add(entries, relup[3], "down") then
    return nil, path .. ": a relup is one tuple {Vsn, [{UpFrom, Descr, Up}], [{DownTo, Descr, Down}]}", "syntax"
  end
  return { version = term.text(relup[1]), term = relup, entries = entries }
end

--- The entry of that direction and version, or nil.
function relups.entry(relup, direction, version)
  for _, entry in ipairs(relup.entries) do
    if entry.direction == direction and entry.version == version then return entry end
  end
end

return relups
