--- Writes terms laid out as `io:format("~tp", [Term])` lays them out.
--
-- A relup comes from systools in that layout, so a diff of a patched one shows the patched lines and nothing else. Lines of
-- at most 80 columns are broken as OTP breaks them.

local measure = require "edeliver.relup.consult.measure"

local writer = {}

local WIDTH = 80
local MARKS, length_of, is_atomic = measure.MARKS, measure.length_of, measure.is_atomic

-- One line -----------------------------------------------------------------------------------------------------------

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
local function put_element(page, node, value, column, closing, used)
  if fits(page, node, column, closing, used) then
    page.n = put(node, page.out, page.n)
    return is_atomic(node) and length_of(node) or WIDTH
  end
  break_node(page, node, value, column, closing, used)
  return WIDTH
end

local function is_atomic_pair(pair) return is_atomic(pair[1]) and is_atomic(pair[2]) end

local comma_indents = setmetatable({}, { __index = function(self, column)
  self[column] = "," .. indents[column]
  return self[column]
end })

-- Elements from the `first` on: atomic ones share lines, all others begin a line of their own at `start`.
-- This is the loop that a long relup spends its time in.
local function put_rest(page, node, first, start, column, closing, used, put_child)
  local out, n, limit, count = page.out, page.n, page.limit, #node
  local is_small = put_child and is_atomic_pair or is_atomic
  for i = first, count do
    local child, behind = node[i], i == count and closing + 1 or 0
    local is_text = type(child) == "string"
    local length = is_text and #child or child.length
    local with_comma, room = length + 1, behind == 0 and 1 or behind
    if with_comma < WIDTH - column - room and used + with_comma + room <= limit and is_small(child) then
      out[n + 1] = ","
      n = put(child, out, n + 1)
      column, used = column + with_comma, used + with_comma
    else
      out[n + 1] = comma_indents[start]
      if is_text and length < WIDTH - start - behind and length + behind <= limit then
        n = n + 2; out[n] = child
        used = is_atomic(child) and length or WIDTH
      else
        page.n = n + 1
        used = (put_child or put_element)(page, child, node.source[i], start, behind, 0)
        n = page.n
      end
      column = start + used
    end
  end
  page.n = n
  return column, used
end

local function put_tail(page, node, start, column, closing, used)
  add(page, "|")
  local tail = node.tail
  local length = length_of(tail)
  page.has_quirk = true
  if is_atomic(tail) and length + 1 < WIDTH - column - (closing + 1) and length + 1 + used + closing + 1 <= page.limit then
    page.n = put(tail, page.out, page.n)
  else
    add(page, indents[start])
    break_node(page, tail, node.tail_source, page.is_trial and column or start, closing + 1, 0)
  end
end

local function put_items(page, node, first, column, closing, used)
  local behind = first == #node and closing + 1 or 0
  local width = put_element(page, node[first], node.source[first], column, behind, used)
  local at
  at, used = put_rest(page, node, first + 1, column, column + width, closing, used + width)
  if node.tail then put_tail(page, node, column, at, closing, used) end
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

local function put_pair(page, pair, _, column, closing, used)
  if fits(page, pair, column, closing, used) then
    page.n = put(pair, page.out, page.n)
    return is_atomic_pair(pair) and pair.length or WIDTH
  end
  local indent = column + (page.tag_indent > 0 and page.tag_indent or 4)
  break_node(page, pair[1], pair.source[1], column, closing, used)
  add(page, " =>" .. indents[indent])
  break_node(page, pair[2], pair.source[2], indent, closing, 0)
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

local function is_bytes(node)
  if type(node) == "string" then return node:find "^<" ~= nil end
  return node.is_bytes
end

function break_node(page, node, value, column, closing, used)
  if is_atomic(node) or fits(page, node, column, closing, used) then
    page.n = put(node, page.out, page.n)
  elseif is_bytes(node) then
    put_bytes(page, type(node) == "string" and node or node.text, column + 2, closing, used)
  else
    if type(node) == "string" then node = measure.split(value) end
    local marks = MARKS[node.kind]
    add(page, marks[1])
    if node.kind == "tagged" then
      put_tagged(page, node, column, closing, used + 1)
    elseif node.kind == "map" then
      page.has_quirk = true
      used = page.is_trial and used + 2 or used + 1
      local width = put_pair(page, node[1], nil, column + 2, #node == 1 and closing + 1 or 0, used)
      put_rest(page, node, 2, column + 2, column + 2 + width, closing, page.is_trial and used + width or width, put_pair)
    else
      put_items(page, node, 1, column + 1, closing, used + 1)
    end
    add(page, marks[2])
  end
end

-- Lays a term out with one indentation; false where that leaves too little room. `page` is as put_term makes it.
local function try(page, node, value)
  local done, problem = pcall(break_node, page, node, value, 1, 0, 0)
  if not done and problem ~= NO_ROOM then error(problem, 0) end
  return done
end

-- Tries indentations from the most generous to the tightest. OTP counts a little differently while it tries than while it
-- prints, where there are maps or improper lists; so for those the trial is a run of its own.
local function put_term(out, n, value)
  local node = measure.node(value)
  local limit = length_of(node)
  for _, tag_indent in ipairs { -1, 4, 1 } do
    local function page_with(fields)
      fields.n, fields.limit, fields.tag_indent = n, limit, tag_indent
      return fields
    end
    local page = page_with { out = out, is_strict = tag_indent ~= 1 }
    local done = try(page, node, value)
    if page.has_quirk and page.is_strict then
      done = try(page_with { out = {}, is_strict = true, is_trial = true }, node, value)
      page = page_with { out = out }
      if done then try(page, node, value) end
    end
    if done then return page.n end
  end
end

--- Text of terms, each with its full stop and a line of its own. Raises `{ refused = message }` for what no text spells.
function writer.write(terms)
  local out, n = {}, 0
  for i = 1, #terms do
    n = put_term(out, n, terms[i])
    n = n + 1; out[n] = ".\n"
  end
  return table.concat(out, "", 1, n)
end

return writer
