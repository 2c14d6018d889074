--- Makes the upgrade refuse where it would kill: a pre-purge `brutal_purge` becomes `soft_purge`.
--
-- With `soft_purge` the release handler refuses to start while processes run old code of a module; with `brutal_purge` it
-- kills them. The post-purge stays as it is. edeliver leaves `load_module` and `remove` as they are, by mistake.

local term = require "edeliver.relup.term"
local instruction = require "edeliver.relup.instruction"
local up_and_down = require "edeliver.relup.script.up_and_down"
local effects = require "edeliver.relup.script.effects"

local BRUTAL, SOFT = term.atom "brutal_purge", term.atom "soft_purge"

-- By name and number of elements behind it: where the pre-purge stands; 0 is the second of the inner triple.
local PRE_PURGE = {
  load = { [1] = 0 }, remove = { [1] = 0 }, load_module = { [4] = 3 }, update = { [5] = 4, [6] = 5, [7] = 6 },
}

local function with(items, position, value)
  local changed = table.move(items, 1, #items, 1, {})
  changed[position] = value
  return term.tuple(changed)
end

local function soften(entry)
  local name, size = effects.name(entry)
  local position = PRE_PURGE[name] and PRE_PURGE[name][size]
  if position == 0 then
    local triple = entry[2]
    if term.kind(triple) ~= "tuple" or #triple ~= 3 or triple[2] ~= BRUTAL then return entry end
    return with(entry, 2, with(triple, 2, SOFT))
  end
  return position and entry[position] == BRUTAL and with(entry, position, SOFT) or entry
end

local function soften_all(list)
  local changed = {}
  for i = 1, #list do changed[i] = soften(list[i]) end
  return term.list(changed)
end

return instruction.define {
  name = "soft_purge",
  section = "upgrade",
  modify_relup = function(instructions) return up_and_down.map(instructions, soften_all) end,

  --- Nothing: the release handler follows the relup, which was changed before it was shipped.
  run = function() return true end,
}
