--- When two terms are the same, and what a map holds under a key: Erlang's `=:=`.

local key_of = require "edeliver.relup.term.key".of
local types = require "edeliver.relup.term.types"

local compare = {}

local kinds = {
  [types.atom] = "atom", [types.tuple] = "tuple", [types.list] = "list", [types.charlist] = "charlist",
  [types.map] = "map",
}

--- What a value is as a term: "binary", "atom", "integer", "float", "tuple", "list", "charlist", "map", the kind of an
-- opaque value, or nil for what is no term (nil, functions, tables with foreign metatables).
function compare.kind(value)
  local lua_type = type(value)
  if lua_type == "table" then
    local meta = getmetatable(value)
    if meta == nil then return "list" end
    if meta == types.opaque then return value.kind end
    return kinds[meta]
  end
  if lua_type == "string" then return "binary" end
  if lua_type == "number" then return math.type(value) end
  if lua_type == "boolean" then return "atom" end
  return nil
end

-- Lists and tuples ---------------------------------------------------------------------------------------------------

local equal

local function equal_items(a, b)
  local size = #a
  if #b ~= size then return false end
  for i = 1, size do
    if not equal(a[i], b[i]) then return false end
  end
  return true
end

local function equal_lists(a, b, kind_a, kind_b)
  if kind_a == "charlist" and kind_b == "charlist" then return a.text == b.text end
  local tail_a = kind_a == "list" and a.tail or nil
  local tail_b = kind_b == "list" and b.tail or nil
  return equal_items(a, b) and equal(tail_a, tail_b)
end

local function equal_maps(a, b)
  local entries = a[types.entries]
  if #entries ~= #b[types.entries] then return false end
  for i = 1, #entries, 2 do
    local value = compare.map_get(b, entries[i])
    if value == nil or not equal(entries[i + 1], value) then return false end
  end
  return true
end

--- Whether two terms are the same, as Erlang's `=:=` says: `1` is not `1.0`, a charlist is the list of its code points.
function equal(a, b)
  if rawequal(a, b) then return math.type(a) == math.type(b) end
  if type(a) ~= "table" or type(b) ~= "table" then return false end
  local kind_a, kind_b = compare.kind(a), compare.kind(b)
  if kind_a == "list" or kind_a == "charlist" then
    return (kind_b == "list" or kind_b == "charlist") and equal_lists(a, b, kind_a, kind_b)
  end
  if kind_a ~= kind_b then return false end
  if kind_a == "tuple" then return equal_items(a, b) end
  if kind_a == "map" then return equal_maps(a, b) end
  return false
end
compare.equal = equal

-- Maps ---------------------------------------------------------------------------------------------------------------

-- Lookup tables of maps that were asked for a key: simple keys by value, compound keys by their names. 1 and 1.0 are one
-- key to a Lua table, so floats have a table of their own.
local indexes = setmetatable({}, { __mode = "k" })

--- Whether a key of a map cannot be found by Lua's own comparison.
function compare.is_compound(key)
  return type(key) == "table" and getmetatable(key) ~= types.atom and getmetatable(key) ~= types.opaque
end

--- The positions of the keys of a map among its entries, by kind; made once for each map.
function compare.index_of(map)
  local index = indexes[map]
  if index then return index end
  index = { simple = {}, floats = {}, compound = {} }
  local entries = map[types.entries]
  for i = 1, #entries, 2 do
    local key = entries[i]
    if compare.is_compound(key) then
      index.compound[key_of(key)] = i
    elseif math.type(key) == "float" then
      index.floats[key] = i
    else
      index.simple[key] = i
    end
  end
  indexes[map] = index
  return index
end

--- The value of a key of a map, or nil. Unlike `m[key]`, never anything else.
function compare.map_get(map, key)
  local index, entries = compare.index_of(map), rawget(map, types.entries)
  local position
  if compare.is_compound(key) then
    position = next(index.compound) and index.compound[key_of(key)]
  elseif math.type(key) == "float" then
    position = index.floats[key]
  elseif key ~= nil then
    position = index.simple[key]
  end
  if position then return entries[position + 1] end
  return nil
end

return compare
