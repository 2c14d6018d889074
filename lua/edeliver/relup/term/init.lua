--- Erlang terms as Lua values.
--
-- The one place that says which Lua value means which Erlang term; the C binding fills the same tables through
-- `term.types`. Knows nothing of nodes, files or the external format, but for the canonical bytes that an opaque value
-- carries as its identity.
--
-- | Erlang | Lua |
-- | --- | --- |
-- | binary | string |
-- | `true`, `false` | booleans |
-- | integer of 64 bits, float | integer, float |
-- | other atoms | interned `{ name = ... }` |
-- | tuple, list | sequences with a metatable; an improper list has its tail in `tail` |
-- | charlist | `{ text = ... }` in UTF-8; reads as the list of its code points |
-- | map | a table that looks keys up as `=:=` does |
-- | anything else | opaque, interned by its external bytes: `{ kind = ..., etf = ... }` |
--
-- @module edeliver.relup.term

local format = require "edeliver.relup.term.format"
local key_of = require "edeliver.relup.term.key".of
local opaque = require "edeliver.relup.term.opaque"
local types = require "edeliver.relup.term.types"
local compare = require "edeliver.relup.term.compare"

local term = {
  --- Metatables, interning tables and constructors, as the C binding takes them.
  types = types,
  --- What a value is as a term: "binary", "atom", "integer", "float", "tuple", "list", "charlist", "map", the kind of
  -- an opaque value, or nil for what is no term (nil, functions, tables with foreign metatables).
  kind = compare.kind,
  --- `equal(a, b)`: whether two terms are the same, as Erlang's `=:=` says: `1` is not `1.0`, a charlist is the list of
  -- its code points.
  equal = compare.equal,
  --- `map_get(map, key)`: the value of a key, or nil. Unlike `map[key]`, never anything else.
  map_get = compare.map_get,
}
local is_compound, index_of = compare.is_compound, compare.index_of

local function sequence(what, items)
  if type(items) ~= "table" or getmetatable(items) ~= nil then
    error(("a %s is made from a plain table, got %s"):format(what, type(items)), 3)
  end
  local count, size = 0, #items
  for key in pairs(items) do
    if math.type(key) ~= "integer" or key < 1 or key > size then
      error(("a %s is made from a sequence; it has no place for the key %s"):format(what, tostring(key)), 3)
    end
    count = count + 1
  end
  if count ~= size then error(("a %s cannot hold nil"):format(what), 3) end
  return items
end

--- The atom of that name; `true` and `false` come back as booleans.
-- @string name valid UTF-8, at most 255 characters
function term.atom(name)
  local known = types.atoms[name]
  if known then return known end
  if name == "true" then return true elseif name == "false" then return false end
  if type(name) ~= "string" then error("the name of an atom is a string, got " .. type(name), 2) end
  local length = utf8.len(name)
  if not length then error("the name of an atom must be valid UTF-8", 2) end
  if length > 255 then error("the name of an atom has at most 255 characters", 2) end
  return types.new_atom(name)
end

--- Makes the given plain sequence a tuple; takes it over, copies nothing.
-- @usage tuple { atom "ok", 42 }
function term.tuple(items)
  return setmetatable(sequence("tuple", items), types.tuple)
end

--- Makes the given plain sequence a list; takes it over. Plain tables count as lists already: this one keeps the kind
-- visible when it is printed, and can be improper.
-- @param items a plain sequence
-- @param[opt] tail what follows the last element instead of `[]`
function term.list(items, tail)
  local made = sequence("list", items)
  local tail_kind = tail ~= nil and term.kind(tail)
  if tail_kind == "list" or tail_kind == "charlist" then
    for i = 1, #tail do made[#made + 1] = tail[i] end
    tail = tail_kind == "list" and rawget(tail, "tail") or nil
  end
  if tail ~= nil and #made == 0 then error("an improper list needs an element before its tail", 2) end
  made.tail = tail
  return setmetatable(made, types.list)
end

--- The list of code points of a text, which Erlang prints as `"text"`.
-- @string text valid UTF-8
function term.charlist(text)
  if type(text) ~= "string" then error("a charlist is made from a string, got " .. type(text), 2) end
  if not utf8.len(text) then error("the text of a charlist must be valid UTF-8", 2) end
  return setmetatable({ text = text }, types.charlist)
end

--- The function `fun module:name/arity`, as the node sees it.
function term.export(module, name, arity)
  return types.new_opaque("export", opaque.export_etf(module, name, arity))
end

--- An integer of any size from its decimal text: a Lua integer where 64 bits hold it, else an opaque "bignum".
-- @usage integer "-123456789012345678901234567890"
function term.integer(text)
  local sign, digits = tostring(text):match "^([+-]?)(%d+)$"
  if not digits then error("not a decimal integer: " .. tostring(text), 2) end
  local small, etf = opaque.integer(digits, 10, sign == "-")
  return small or types.new_opaque("bignum", etf)
end

--- A bitstring: the bytes, of whose last one only the upper `bits` count. A whole number of bytes is a binary.
function term.bitstring(bytes, bits)
  if bits == 0 or bits == 8 or bytes == "" then return bytes end
  return types.new_opaque("bitstring", opaque.bitstring_etf(bytes, bits))
end

-- Charlists ----------------------------------------------------------------------------------------------------------

-- Code points of charlists that were indexed and are not plain ASCII, so that walking one stays linear.
local code_points = setmetatable({}, { __mode = "k" })

function types.charlist.__len(charlist)
  return utf8.len(charlist.text)
end

function types.charlist.__index(charlist, position)
  if math.type(position) ~= "integer" then return nil end
  local points = code_points[charlist]
  if points == nil then
    local text = rawget(charlist, "text")
    points = false
    if text:find("[\128-\255]") then
      points = {}
      for _, point in utf8.codes(text) do points[#points + 1] = point end
    end
    code_points[charlist] = points
  end
  if points then return points[position] end
  return position > 0 and charlist.text:byte(position) or nil
end

-- Maps ---------------------------------------------------------------------------------------------------------------

local map_methods = {}

--- `map:get(key, default)`: as `map[key]`, with something to give for a missing key.
function map_methods.get(map, key, default)
  local value = term.map_get(map, key)
  if value == nil then return default end
  return value
end

function types.map.__index(map, key)
  if key == types.entries then return nil end
  local value = term.map_get(map, key)
  if value == nil then return map_methods[key] end
  return value
end

function types.map.__newindex()
  error("maps cannot be changed; make a new one with term.map", 2)
end

function types.map.__len(map)
  return #rawget(map, types.entries) // 2
end

function types.map.__pairs(map)
  local entries, position = rawget(map, types.entries), -1
  return function()
    position = position + 2
    return entries[position], entries[position + 1]
  end
end

--- A map from pairs in a row, `{ k1, v1, k2, v2 }`; of equal keys the last one counts, as in Erlang.
-- @usage map { atom "a", 1, "b", 2 }
function term.map(entries)
  sequence("map", entries)
  if #entries % 2 ~= 0 then error("a map needs a value for each key", 2) end
  local made = setmetatable({ [types.entries] = {} }, types.map)
  local index, kept = index_of(made), made[types.entries]
  for i = 1, #entries, 2 do
    local key = entries[i]
    local name = is_compound(key) and key_of(key)
    local found = name and index.compound or math.type(key) == "float" and index.floats or index.simple
    local position = found[name or key]
    if not position then
      position = #kept + 1
      found[name or key] = position
    end
    kept[position], kept[position + 1] = key, entries[i + 1]
  end
  return made
end

-- Text ---------------------------------------------------------------------------------------------------------------

--- What the Erlang shell prints for a term, in one line: `{ok,<<"a">>,"1.4.6",'Elixir.MyApp'}`; but integers of more than
-- 1 KiB (2,466 digits) in hexadecimal, `16#1F...`, which takes no time and reads back as the same.
-- @param value any term
-- @param[opt] options `unicode`: whether characters beyond Latin-1 count as printable, as after `erl +pc unicode`
-- @treturn string
term.format = format.printer(types)

--- The text of an atom, a binary, a charlist or a (nested) list of code points and binaries, as a Lua string; nil for
-- what is none of these.
function term.text(value)
  local kind = term.kind(value)
  if kind == "binary" then return value end
  if kind == "atom" then return type(value) == "boolean" and tostring(value) or value.name end
  if kind == "charlist" then return value.text end
  if kind ~= "list" or (getmetatable(value) and value.tail ~= nil) then return nil end
  local out = {}
  for i = 1, #value do
    local item = value[i]
    local part
    if math.type(item) == "integer" then
      part = item >= 0 and item <= 0x10FFFF and utf8.char(item) or nil
    elseif type(item) == "string" or type(item) == "table" and term.kind(item) ~= "atom" then
      part = term.text(item)
    end
    if not part then return nil end
    out[i] = part
  end
  return table.concat(out)
end

for _, name in ipairs { "atom", "tuple", "list", "charlist", "map", "opaque" } do
  types[name].__tostring = function(value) return term.format(value) end
end
-- Atoms and opaque values are interned: for them `==` is identity already.
for _, name in ipairs { "tuple", "list", "charlist", "map" } do types[name].__eq = compare.equal end

return term
