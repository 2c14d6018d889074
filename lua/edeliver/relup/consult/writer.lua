--- Writes terms laid out as `io:format("~tp", [Term])` lays them out.
--
-- A relup comes from systools in that layout, so a diff of a patched one shows the patched lines and nothing else. Terms
-- are measured first, into a tree of nodes; then lines of at most 80 columns are broken as OTP breaks them. A node is a
-- string (an atomic term in ASCII) or a table with `length` in characters and either `text` or the children.

local term = require "edeliver.relup.term"
local format = require "edeliver.relup.term.format"
local opaque = require "edeliver.relup.term.opaque"

local writer = {}

local WIDTH = 80
local MAX_DEPTH = 10000

local types = term.types
local concat, math_type, string_format = table.concat, math.type, string.format

-- Measuring ----------------------------------------------------------------------------------------------------------

local function refuse(text, ...) error({ refused = text:format(...) }, 0) end

local function atomic(text)
  if text:find "[\128-\255]" then return { text = text, length = utf8.len(text) } end
  return text
end

local function length_of(node) return type(node) == "string" and #node or node.length end

local function is_atomic(node) return type(node) == "string" or (node.text and not node.is_bytes) end

local measure

local function measure_items(items, node, depth)
  local length = 2
  for i = 1, #items do
    local child = measure(items[i], depth)
    node[i] = child
    length = length + (type(child) == "string" and #child or child.length) + (i > 1 and 1 or 0)
  end
  node.length = length
  return node
end

local function measure_map(map, depth)
  local node, length = { kind = "map" }, 2
  for key, value in pairs(map) do
    local pair = { measure(key, depth), measure(value, depth), kind = "pair" }
    pair.length = length_of(pair[1]) + 4 + length_of(pair[2])
    node[#node + 1] = pair
    length = length + pair.length + 1
  end
  if #node == 0 then return "#{}" end
  node.length = length
  return node
end

local function measure_list(list, depth)
  local tail = getmetatable(list) and list.tail
  if tail == nil then
    if #list == 0 then return "[]" end
    if format.is_printable_list(list) then
      local chars = {}
      for i = 1, #list do chars[i] = utf8.char(list[i]) end
      return atomic(format.quote(concat(chars), '"'))
    end
  end
  local node = measure_items(list, { kind = "list" }, depth)
  if tail ~= nil then
    node.tail = measure(tail, depth)
    node.length = node.length + 1 + length_of(node.tail)
  end
  return node
end

local function measure_charlist(charlist, depth)
  local text = term.format(charlist)
  if text:sub(1, 1) == '"' or text == "[]" then return atomic(text) end
  local codes = {}
  for _, code in utf8.codes(charlist.text) do codes[#codes + 1] = code end
  return measure_items(codes, { kind = "list" }, depth)
end

local function measure_binary(bytes)
  local text = format.binary(bytes)
  if text:sub(3, 3) == '"' or text == "<<>>" then return atomic(text) end
  return { text = text, length = #text, is_bytes = true }
end

local function measure_tuple(tuple, depth)
  if #tuple == 0 then return "{}" end
  local is_tagged = #tuple > 1 and term.kind(tuple[1]) == "atom"
  return measure_items(tuple, { kind = is_tagged and "tagged" or "tuple" }, depth)
end

local function measure_opaque(value)
  if value.kind == "bignum" or value.kind == "export" then return atomic(opaque.format(value, format.atom_name)) end
  local text = opaque.format(value, format.atom_name)
  if value.kind == "bitstring" then return { text = text, length = #text, is_bytes = true } end
  refuse("%s cannot be written: there is no text that reads back as a %s", text, value.kind)
end

local compound = {
  [types.tuple] = measure_tuple, [types.list] = measure_list, [types.map] = measure_map,
  [types.charlist] = measure_charlist, [types.opaque] = measure_opaque,
}

function measure(value, depth)
  local lua_type = type(value)
  if lua_type == "table" then
    local meta = getmetatable(value)
    if meta == types.atom then return atomic(format.atom_text(value)) end
    if depth > MAX_DEPTH then refuse("terms are nested deeper than %d", MAX_DEPTH) end
    local measurer = meta == nil and measure_list or compound[meta]
    if measurer then return measurer(value, depth + 1) end
  elseif lua_type == "string" then
    return measure_binary(value)
  elseif math_type(value) == "integer" then
    return string_format("%d", value)
  elseif lua_type == "number" then
    if value ~= value or value == math.huge or value == -math.huge then refuse("%s is no float of Erlang", value) end
    return format.float(value)
  elseif lua_type == "boolean" then
    return tostring(value)
  end
  refuse("a %s is no term", lua_type)
end

-- One line -----------------------------------------------------------------------------------------------------------

local MARKS = { list = { "[", "]" }, tuple = { "{", "}" }, tagged = { "{", "}" }, map = { "#{", "}" } }

-- Puts the node's text behind out[n], on one line, and gives the new n.
local function put(node, out, n)
  if type(node) == "string" then
    out[n + 1] = node
    return n + 1
  elseif node.text then
    out[n + 1] = node.text
    return n + 1
  elseif node.kind == "pair" then
    n = put(node[1], out, n)
    out[n + 1] = " => "
    return put(node[2], out, n + 1)
  end
  local marks = MARKS[node.kind]
  n = n + 1; out[n] = marks[1]
  for i = 1, #node do
    if i > 1 then n = n + 1; out[n] = "," end
    n = put(node[i], out, n)
  end
  if node.tail then
    n = n + 1; out[n] = "|"
    n = put(node.tail, out, n)
  end
  n = n + 1; out[n] = marks[2]
  return n
end

-- Many lines ---------------------------------------------------------------------------------------------------------

local indents = setmetatable({}, { __index = function(self, column)
  self[column] = "\n" .. (" "):rep(column - 1)
  return self[column]
end })

local NO_ROOM = {} -- raised where an indentation leaves too little room

-- A page is what lines are put on: `out` and `n`, the length of the whole term in `limit`, and `tag_indent`: how far what
-- follows the tag of a tuple is indented, -1 for as far as the tag is long.
-- `closing` counts the closing marks that must still fit behind a node, `used` the characters already on the line.

local function add(page, text)
  page.n = page.n + 1
  page.out[page.n] = text
end

local function fits(page, node, column, closing, used)
  local length = type(node) == "string" and #node or node.length
  return length < WIDTH - column - closing and length + used + closing <= page.limit
end

local break_node

-- Gives the width that the element took; after one that was broken, nothing more fits on its line.
local function put_element(page, node, column, closing, used)
  if is_atomic(node) and fits(page, node, column, closing, used) then
    page.n = put(node, page.out, page.n)
    return length_of(node)
  end
  break_node(page, node, column, closing, used)
  return WIDTH
end

local function closing_of(node, i, closing) return i == #node and closing + 1 or 0 end

-- Elements from the `first` on: atomic ones share lines, all others begin a line of their own at `start`.
local function put_rest(page, node, first, start, column, closing, used, is_pair)
  for i = first, #node do
    local child = node[i]
    local behind = closing_of(node, i, closing)
    local length = 1 + length_of(child)
    local room = behind == 0 and 1 or behind
    local is_small = is_pair and is_atomic(child[1]) and is_atomic(child[2]) or not is_pair and is_atomic(child)
    add(page, ",")
    if is_small and length < WIDTH - column - room and used + length + room <= page.limit then
      page.n = put(child, page.out, page.n)
      column, used = column + length, used + length
    else
      add(page, indents[start])
      local width = is_pair and is_pair(page, child, start, behind, 0) or put_element(page, child, start, behind, 0)
      column, used = start + width, width
    end
  end
  return column, used
end

local function put_tail(page, tail, start, column, closing, used)
  add(page, "|")
  local length = length_of(tail)
  if is_atomic(tail) and length + 1 < WIDTH - column - (closing + 1) and length + 1 + used + closing + 1 <= page.limit then
    page.n = put(tail, page.out, page.n)
  else
    add(page, indents[start])
    break_node(page, tail, start, closing + 1, 0)
  end
end

local function put_items(page, node, first, column, closing, used)
  local width = put_element(page, node[first], column, closing_of(node, first, closing), used)
  local at
  at, used = put_rest(page, node, first + 1, column, column + width, closing, used + width)
  if node.tail then put_tail(page, node.tail, column, at, closing, used) end
end

-- A tuple with a tag: what follows is indented by the tag's length, or by less where the tag is long.
local function put_tagged(page, node, column, closing, used)
  local tag_length, by = length_of(node[1]), page.tag_indent
  local behind_tag = column + tag_length + 2
  page.n = put(node[1], page.out, page.n)
  if by > 0 and tag_length + 2 > by then
    if page.is_strict and page.limit + column + by > WIDTH and column + by > WIDTH // 2 then error(NO_ROOM, 0) end
    put_rest(page, node, 2, column + by, behind_tag, closing, used + tag_length)
  else
    if page.is_strict and page.limit + behind_tag >= WIDTH and behind_tag >= WIDTH // 2 then error(NO_ROOM, 0) end
    add(page, ",")
    put_items(page, node, 2, behind_tag, closing, used + tag_length + 1)
  end
end

local function put_pair(page, pair, column, closing, used)
  if fits(page, pair, column, closing, used) then
    page.n = put(pair, page.out, page.n)
    return is_atomic(pair[1]) and is_atomic(pair[2]) and pair.length or WIDTH
  end
  local indent = column + (page.tag_indent > 0 and page.tag_indent or 4)
  break_node(page, pair[1], column, closing, used)
  add(page, " =>" .. indents[indent])
  break_node(page, pair[2], indent, closing, 0)
  return WIDTH
end

-- `<<1,2,3>>` over several lines, broken behind commas.
local function put_bytes(page, text, column, closing, used)
  local room = math.max(8, math.min(WIDTH - column, page.limit - 4 - used) - closing)
  local left = room
  add(page, "<<")
  for number, comma in text:sub(3, -3):gmatch "([%d:]+)(,?)" do
    local length = #number + #comma
    if left - length < 0 then
      add(page, indents[column])
      left = room
    end
    left = left - length
    add(page, number .. comma)
  end
  add(page, ">>")
end

function break_node(page, node, column, closing, used)
  if is_atomic(node) or fits(page, node, column, closing, used) then
    page.n = put(node, page.out, page.n)
  elseif node.is_bytes then
    put_bytes(page, node.text, column + 2, closing, used)
  else
    local marks = MARKS[node.kind]
    add(page, marks[1])
    if node.kind == "tagged" then
      put_tagged(page, node, column, closing, used + 1)
    elseif node.kind == "map" then
      local width = put_pair(page, node[1], column + 2, closing_of(node, 1, closing), used + 1)
      put_rest(page, node, 2, column + 2, column + 2 + width, closing, width, put_pair)
    else
      put_items(page, node, 1, column + 1, closing, used + 1)
    end
    add(page, marks[2])
  end
end

-- Tries indentations from the most generous to the tightest, as OTP does.
local function put_term(out, n, value)
  local node = measure(value, 0)
  for _, tag_indent in ipairs { -1, 4, 1 } do
    local page = {
      out = out, n = n, limit = length_of(node), tag_indent = tag_indent, is_strict = tag_indent ~= 1,
    }
    local done, problem = pcall(break_node, page, node, 1, 0, 0)
    if done then return page.n end
    for i = #out, n + 1, -1 do out[i] = nil end
    if problem ~= NO_ROOM then error(problem, 0) end
  end
end

--- Text of terms, each with its full stop and a line of its own. Raises `{ refused = message }` for what no text spells.
function writer.write(terms)
  local out, n = {}, 0
  for i = 1, #terms do
    n = put_term(out, n, terms[i])
    n = n + 1; out[n] = ".\n"
  end
  return concat(out, "", 1, n)
end

return writer
