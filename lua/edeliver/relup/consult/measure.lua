--- Measures terms for the writer: how long they are on one line, and what they are made of where one line is too short.
--
-- A node is what a term measures to. A string is text in ASCII on one line: any atomic term, or a compound one that is
-- short; so most instructions of a relup cost no table. Anything else is a table with `length` in characters and either
-- `text` (and `is_bytes` for `<<1,2>>`, which may be broken) or its children, with `kind` and `source`, the terms that they
-- were measured from. A short compound term that has to be broken after all is measured again by `measure.split`.

local term = require "edeliver.relup.term"
local format = require "edeliver.relup.term.format"
local opaque = require "edeliver.relup.term.opaque"

local measure = {}

local MAX_DEPTH = 10000
local SHORT = 78 -- what can ever fit a line of 80

local types = term.types
local concat, math_type, string_format = table.concat, math.type, string.format

local function refuse(text, ...) error({ refused = text:format(...) }, 0) end

local function text_node(text)
  if text:find "[\128-\255]" then return { text = text, length = utf8.len(text) } end
  return text
end

local function length_of(node) return type(node) == "string" and #node or node.length end

--- How many characters a node takes on one line.
measure.length_of = length_of

local OPEN_BRACE, OPEN_BRACKET, HASH, LESS, QUOTE = ("{"):byte(), ("["):byte(), ("#"):byte(), ("<"):byte(), ('"'):byte()

--- Whether a node may share its line with others: OTP breaks the line around everything that has parts.
function measure.is_atomic(node)
  if type(node) ~= "string" then return node.text ~= nil and not node.is_bytes end
  local first = node:byte()
  if first == OPEN_BRACE or first == OPEN_BRACKET then return #node == 2 end
  if first == HASH then return #node == 3 end
  return first ~= LESS or #node == 4 or node:byte(3) == QUOTE
end

local measure_any

local compound = {} -- the measurers of terms with a metatable of ours, by that metatable

--- Marks around the children of a node, by kind.
measure.MARKS = { list = { "[", "]" }, tuple = { "{", "}" }, tagged = { "{", "}" }, map = { "#{", "}" } }

-- One buffer for each depth takes the children, until it is known whether they fit a line.
local function new_buffers()
  return setmetatable({}, { __index = function(self, depth)
    self[depth] = {}
    return self[depth]
  end })
end
local buffers = new_buffers()

--- Lets go of what was measured last.
function measure.forget() buffers = new_buffers() end

-- Most tuples and lists are short, and one concatenation is cheaper than a call.
local function on_one_line(open, buffer, count, close)
  if count == 1 then return open .. buffer[1] .. close end
  if count == 2 then return open .. buffer[1] .. "," .. buffer[2] .. close end
  if count == 3 then return open .. buffer[1] .. "," .. buffer[2] .. "," .. buffer[3] .. close end
  return open .. concat(buffer, ",", 1, count) .. close
end

local atom_nodes = setmetatable({}, { __mode = "k" })

local function measure_items(items, kind, depth, is_split, tail)
  if depth > MAX_DEPTH then refuse("terms are nested deeper than %d", MAX_DEPTH) end
  local buffer, count = buffers[depth], #items
  local length, is_plain = 1 + count, tail == nil and not is_split
  for i = 1, count do
    local item = items[i]
    local child = atom_nodes[item]
    if not child then
      local measurer = compound[getmetatable(item)]
      child = measurer and measurer(item, depth + 1) or measure_any(item, depth)
    end
    buffer[i] = child
    if type(child) == "string" then
      length = length + #child
    else
      length, is_plain = length + child.length, false
    end
  end
  if is_plain and length <= SHORT then
    local marks = measure.MARKS[kind]
    return on_one_line(marks[1], buffer, count, marks[2])
  end
  local node = table.move(buffer, 1, count, 1, { kind = kind, source = items, length = length })
  if tail ~= nil then
    node.tail, node.tail_source = measure_any(tail, depth), tail
    node.length = length + 1 + length_of(node.tail)
  end
  return node
end

local function measure_map(map, depth)
  local node, length = { kind = "map", source = {} }, 2
  for key, value in pairs(map) do
    local pair = { measure_any(key, depth), measure_any(value, depth), kind = "pair", source = { key, value } }
    pair.length = length_of(pair[1]) + 4 + length_of(pair[2])
    node[#node + 1], node.source[#node + 1] = pair, false
    length = length + pair.length + 1
  end
  if #node == 0 then return "#{}" end
  node.length = length
  return node
end

local function measure_list(list, depth, is_split)
  local tail = getmetatable(list) and list.tail
  if tail == nil then
    if #list == 0 then return "[]" end
    if math_type(list[1]) == "integer" and format.is_printable_list(list) then
      local chars = {}
      for i = 1, #list do chars[i] = utf8.char(list[i]) end
      return text_node(format.quote(concat(chars), '"'))
    end
  end
  return measure_items(list, "list", depth, is_split, tail)
end

local function measure_charlist(charlist, depth, is_split)
  local text = term.format(charlist)
  if text:byte() == QUOTE or text == "[]" then return text_node(text) end
  local codes = {}
  for _, code in utf8.codes(charlist.text) do codes[#codes + 1] = code end
  return measure_items(codes, "list", depth, is_split)
end

local function bytes_node(text) return #text <= SHORT and text or { text = text, length = #text, is_bytes = true } end

local function measure_binary(bytes)
  local text = format.binary(bytes)
  if text:byte(3) == QUOTE or text == "<<>>" then return text_node(text) end
  return bytes_node(text)
end

local function measure_tuple(tuple, depth, is_split)
  if #tuple == 0 then return "{}" end
  local is_tagged = #tuple > 1 and (type(tuple[1]) == "boolean" or getmetatable(tuple[1]) == types.atom)
  return measure_items(tuple, is_tagged and "tagged" or "tuple", depth, is_split)
end

local function measure_opaque(value)
  local text = opaque.format(value, format.atom_name)
  if value.kind == "bignum" or value.kind == "export" then return text_node(text) end
  if value.kind == "bitstring" then return bytes_node(text) end
  refuse("%s cannot be written: there is no text that reads back as a %s", text, value.kind)
end

compound[types.tuple], compound[types.list], compound[types.map] = measure_tuple, measure_list, measure_map
compound[types.charlist], compound[types.opaque] = measure_charlist, measure_opaque

local function measure_atom(atom)
  -- erl_scan takes U+FFFE and U+FFFF for no characters, raw or escaped.
  if atom.name:find "\xEF\xBF[\xBE\xBF]" then
    refuse("an atom with U+FFFE or U+FFFF cannot be written: Erlang reads no text with these characters")
  end
  local node = text_node(format.atom_text(atom))
  atom_nodes[atom] = node
  return node
end

local function measure_number(value)
  if math_type(value) == "integer" then return string_format("%d", value) end
  if value ~= value or value == math.huge or value == -math.huge then refuse("%s is no float of Erlang", value) end
  return format.float(value)
end

function measure_any(value, depth, is_split)
  local lua_type = type(value)
  if lua_type == "table" then
    local meta = getmetatable(value)
    if meta == types.atom then return atom_nodes[value] or measure_atom(value) end
    local measurer = meta == nil and measure_list or compound[meta]
    if measurer then return measurer(value, depth + 1, is_split) end
  elseif lua_type == "string" then
    return measure_binary(value)
  elseif lua_type == "number" then
    return measure_number(value)
  elseif lua_type == "boolean" then
    return tostring(value)
  end
  refuse("a %s is no term", lua_type)
end

--- The node of a term. Raises `{ refused = message }` for what no text spells.
function measure.node(value) return measure_any(value, 0) end

--- The node of a compound term, with children however short it is.
function measure.split(value) return measure_any(value, 0, true) end

return measure
