--- The short forms of appup instructions, and what they stand for: appup(5), as systools_rc reads it.
--
-- @module edeliver.relup.plan.shorthand

local term = require "edeliver.relup.term"

local shorthand = {}

local atom, tuple, list = term.atom, term.tuple, term.list
local BRUTAL, SOFT, STATIC, DYNAMIC, DEFAULT = atom "brutal_purge", atom "soft", atom "static", atom "dynamic", atom "default"
local EMPTY = list {}

local function is_list(value) return term.kind(value) == "list" or term.kind(value) == "charlist" end
local function is_tuple(value) return term.kind(value) == "tuple" end

local ADVANCED_NOTHING = tuple { atom "advanced", EMPTY }

local function expand_update(i)
  local module, second, third = i[2], i[3], i[4]
  if #i == 2 then return tuple { i[1], module, SOFT, BRUTAL, BRUTAL, EMPTY } end
  if #i == 3 and second == atom "supervisor" then
    return tuple { i[1], module, STATIC, DEFAULT, ADVANCED_NOTHING, BRUTAL, BRUTAL, EMPTY }
  end
  if #i == 3 and is_list(second) then return tuple { i[1], module, SOFT, BRUTAL, BRUTAL, second } end
  local is_change = is_tuple(second) or second == SOFT
  if #i == 3 and is_change then return tuple { i[1], module, second, BRUTAL, BRUTAL, EMPTY } end
  if #i == 4 and is_change and is_list(third) then return tuple { i[1], module, second, BRUTAL, BRUTAL, third } end
  return i
end

--- By the instruction's name: what a short form stands for.
shorthand.expanders = {
  load_module = function(i)
    if #i == 2 then return tuple { i[1], i[2], BRUTAL, BRUTAL, EMPTY } end
    if #i == 3 and is_list(i[3]) then return tuple { i[1], i[2], BRUTAL, BRUTAL, i[3] } end
    return i
  end,
  update = expand_update,
  delete_module = function(i)
    if #i == 2 or #i == 3 and is_list(i[3]) then return tuple { atom "remove_module", i[2], BRUTAL, BRUTAL, i[3] or EMPTY } end
    return i
  end,
  add_application = function(i) return #i == 2 and tuple { i[1], i[2], atom "permanent" } or i end,
}

--- By the instruction's name: the forms of update that leave something out, and add_module, in their longest form.
shorthand.normalizers = {
  update = function(i)
    if #i == 6 then return tuple { i[1], i[2], DYNAMIC, DEFAULT, i[3], i[4], i[5], i[6] } end
    if #i == 7 then return tuple { i[1], i[2], DYNAMIC, i[3], i[4], i[5], i[6], i[7] } end
    return i
  end,
  add_module = function(i) return #i == 2 and tuple { i[1], i[2], EMPTY } or i end,
}

return shorthand
