--- Makes terms of tokens, as `erl_parse:parse_term` does.
--
-- A loop with a stack of its own: input may be nested as deep as memory holds, and bad input costs a message with line
-- and column, never a crash. Knows nothing of files and encodings: text comes in as UTF-8.

local lpeg = require "lpeg"
local term = require "edeliver.relup.term"
local format = require "edeliver.relup.term.format"
local scanner = require "edeliver.relup.consult.scanner"
local binary = require "edeliver.relup.consult.binary"
local reader = require "edeliver.relup.consult.reader"

local parser = {}

local match, token, skip = lpeg.match, scanner.token, scanner.skip
local ATOM, NUMBER, STRING, BIG, QUOTED = scanner.ATOM, scanner.NUMBER, scanner.STRING, scanner.BIG, scanner.QUOTED
local types, atoms, new_atom, fail = term.types, term.types.atoms, term.types.new_atom, reader.fail
local COMMA, BRACE, BRACKET = (","):byte(), ("}"):byte(), ("]"):byte()

-- How deep a key of a map may be nested: deeper terms are not written, and keys are looked at by functions that call
-- themselves.
local MAX_KEY_DEPTH = format.max_depth

-- Containers by the token that opens them. `#` is followed by a brace of its own.
local CLOSERS = { ["{"] = "}", ["["] = "]", ["("] = ")", ["#"] = "}" }

local function atom(name, at)
  local known = atoms[name]
  if known then return known end
  if name == "true" then return true elseif name == "false" then return false end
  if #name > 255 and utf8.len(name) > 255 then fail(at, "an atom has at most 255 characters") end
  return new_atom(name)
end

-- The rest of `fun m:f/1`, whose first word ends before `at`.
local function export(text, at)
  local names = {}
  for i, mark in ipairs { ":", "/" } do
    local kind, name, next_at = match(token, text, at)
    if kind ~= QUOTED and (kind ~= ATOM or format.is_reserved(name)) then reader.unexpected(text, at) end
    names[i] = name
    at = reader.expect(text, next_at, mark)
  end
  local kind, arity, next_at = match(token, text, at)
  if kind ~= NUMBER or math.type(arity) ~= "integer" or arity > 255 then reader.unexpected(text, at) end
  return term.export(names[1], names[2], arity), next_at
end

-- A value that opens no container: the value and the position behind it, or nil where it does.
local function simple(text, kind, value, start, at)
  if kind == ATOM then
    if not format.is_reserved(value) then return atom(value, start), at end
    if value == "fun" then return export(text, at) end
    reader.unexpected(text, start)
  elseif kind == QUOTED then
    return atom(value, start), at
  elseif kind == STRING then
    value, at = reader.string(text, value, at)
    return setmetatable({ text = value }, types.charlist), at
  elseif kind == BIG then
    return types.new_opaque("bignum", value), at
  elseif kind == nil then
    reader.unexpected(text, start)
  elseif value == "<<" then
    return binary.parse(text, at)
  elseif value == "-" or value == "+" then
    return reader.signed(text, start)
  end
  return nil, at
end

local function close_list(frame)
  local items, tail = frame.items, frame.tail
  local kind = tail ~= nil and term.kind(tail)
  if kind == "list" or kind == "charlist" then
    for i = 1, #tail do items[#items + 1] = tail[i] end
    tail = kind == "list" and rawget(tail, "tail") or nil
  end
  items.tail = tail
  return setmetatable(items, types.list)
end

local function close(frame)
  if frame.opener == "{" then return setmetatable(frame.items, types.tuple) end
  if frame.opener == "[" then return close_list(frame) end
  if frame.opener == "#" then return term.map(frame.items) end
  return frame.items[1]
end

-- What may follow a value in its container: a comma, `|`, `=>`, the closing mark or the full stop.
local function may_follow(frame, mark)
  local count = #frame.items
  if mark == frame.closer then return frame.opener ~= "#" or count % 2 == 0 end
  if frame.opener == "[" then return frame.tail == nil and (mark == "," or mark == "|") end
  if frame.opener == "#" then return mark == (count % 2 == 0 and "," or "=>") end
  return frame.opener == "{" and mark == ","
end

--- Parses terms that each end with a full stop.
-- @string text UTF-8
-- @treturn[1] table the terms
-- @treturn[2] nil
-- @treturn[2] table what `reader.fail` raised: position and message
function parser.parse(text)
  local terms = {}
  local frame = { opener = "", closer = ".", items = {}, height = 0 } -- of the container being filled
  local stack, depth = {}, 0
  local position, in_tail = 1, false

  if match(skip, text) > #text then return terms end
  while true do
    local kind, value, at = match(token, text, position)
    local items = frame.items
    if kind ~= NUMBER then
      local made
      made, at = simple(text, kind, value, position, at)
      if made ~= nil then
        value = made
      elseif value == frame.closer and value ~= "." and #items == 0 and not in_tail and value ~= ")" then
        value = close(frame)
        frame, depth = stack[depth], depth - 1
        items, in_tail = frame.items, frame.in_tail
      elseif CLOSERS[value] then
        if value == "#" then at = reader.expect(text, at, "{") end
        depth = depth + 1
        frame.in_tail = in_tail
        stack[depth] = frame
        frame, in_tail, position = { opener = value, closer = CLOSERS[value], items = {}, height = 0 }, false, at
        goto continue
      else
        reader.unexpected(text, position)
      end
    end

    -- A value has been read: keep it, and close all that closes behind it.
    while true do
      if in_tail then frame.tail = value else items[#items + 1] = value end
      local byte = text:byte(at)
      local mark
      if byte == COMMA then
        mark, position = ",", at + 1
      elseif byte == BRACE then
        mark, position = "}", at + 1
      elseif byte == BRACKET then
        mark, position = "]", at + 1
      else
        local _
        _, mark, position = match(token, text, at)
      end
      if not may_follow(frame, mark) then reader.unexpected(text, at) end
      if mark ~= frame.closer then
        in_tail = mark == "|"
        break
      elseif depth == 0 then
        terms[#terms + 1], items[1] = value, nil
        if match(skip, text, position) > #text then return terms end
        break
      end
      value, at = close(frame), position
      local height = frame.height + 1 -- how deep the value is nested
      frame, depth = stack[depth], depth - 1
      items, in_tail = frame.items, frame.in_tail
      if height > frame.height then frame.height = height end
      if height > MAX_KEY_DEPTH and frame.opener == "#" and #items % 2 == 0 then
        fail(at, ("a key of a map is nested deeper than %d"):format(MAX_KEY_DEPTH))
      end
    end
    ::continue::
  end
end

return parser
