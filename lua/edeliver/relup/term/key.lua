--- What a list, tuple or map is called as a key of a map: a string that it shares with all terms that are `=:=` to it, and
-- with no others, so that Lua's own tables find it.
--
-- Knows how terms look in Lua, no more. Takes time that grows with the size of the term alone: a map within it is called by
-- a number, which it is given once. So a map that is part of a key must not change any more.

local types = require "edeliver.relup.term.types"

local key = {}

local concat, pack = table.concat, string.pack

local put

-- The number of a map, kept with the map; and by what maps hold, as long as one of them has it.
local number_of = setmetatable({}, { __mode = "k" })
local numbers = setmetatable({}, { __mode = "v" })
local last = 0

-- The same for all maps of the same pairs, in any order.
local function number(map)
  local known = number_of[map]
  if known then return known.number end
  local entries, pairs_of = map[types.entries], {}
  for i = 1, #entries, 2 do
    local out = {}
    local n = put(entries[i + 1], out, put(entries[i], out, 0))
    pairs_of[#pairs_of + 1] = concat(out, "", 1, n)
  end
  table.sort(pairs_of)
  local content = concat(pairs_of)
  known = numbers[content]
  if not known then
    last = last + 1
    known = { number = last }
    numbers[content] = known
  end
  number_of[map] = known
  return known.number
end

local function put_list(list, out, n)
  n = n + 1; out[n] = pack("<c1I4", "l", #list)
  for i = 1, #list do n = put(list[i], out, n) end
  local tail = getmetatable(list) and list.tail
  if tail == nil then
    out[n + 1] = "."
    return n + 1
  end
  out[n + 1] = "|"
  return put(tail, out, n + 1)
end

local function put_charlist(charlist, out, n)
  n = n + 1; out[n] = pack("<c1I4", "l", #charlist)
  for _, code in utf8.codes(charlist.text) do n = put(code, out, n) end
  out[n + 1] = "."
  return n + 1
end

local function put_tuple(tuple, out, n)
  n = n + 1; out[n] = pack("<c1I4", "t", #tuple)
  for i = 1, #tuple do n = put(tuple[i], out, n) end
  return n
end

local compound = { [types.list] = put_list, [types.charlist] = put_charlist, [types.tuple] = put_tuple }

-- Each begins with a letter of its own and says how long it is, so that no two terms in a row read as two others.
local function scalar(value)
  local kind, meta = math.type(value) or type(value), getmetatable(value)
  if kind == "integer" then return pack("<c1i8", "i", value) end
  if kind == "float" then return pack("<c1d", "f", value + 0.0) end -- 0.0 and -0.0 are the same
  if kind == "string" then return pack("<c1s4", "s", value) end
  if kind == "boolean" then return value and "T" or "F" end
  if meta == types.atom then return pack("<c1s4", "a", value.name) end
  if meta == types.opaque then return pack("<c1s4", "o", value.etf) end
  if meta == types.map then return pack("<c1I8", "m", number(value)) end
  return ("?%p;"):format(value) -- no term, and the same as itself alone
end

-- Puts the pieces of a term's name behind out[n], and gives the new n.
function put(value, out, n)
  if type(value) == "table" then
    local meta = getmetatable(value)
    local putter = meta == nil and put_list or compound[meta]
    if putter then return putter(value, out, n) end
  end
  out[n + 1] = scalar(value)
  return n + 1
end

--- The name of a compound term.
-- @treturn string bytes, which mean nothing to anybody else, and not for longer than the term lives
function key.of(value)
  local out = {}
  return concat(out, "", 1, put(value, out, 0))
end

return key
