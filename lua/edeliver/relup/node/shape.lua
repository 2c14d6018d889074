--- The shapes of a node's answers.
--
-- A node may be broken, of a version that nobody knows, or none at all: before an answer is taken apart, it is held against the
-- shape that it must have. A shape is a function that says whether a term has it. Knows no question and no node but by name.
--
-- @module edeliver.relup.node.shape

local escape = require "edeliver.relup.base.escape"
local term = require "edeliver.relup.term"

local shape = {}

local function of_kind(kind)
  return function(value) return term.kind(value) == kind end
end

--- A binary.
shape.binary = of_kind "binary"

--- An integer of 64 bits.
shape.integer = of_kind "integer"

--- A pid.
shape.pid = of_kind "pid"

--- Any term.
function shape.any() return true end

--- An atom with a `name`: not a boolean.
function shape.atom(value) return getmetatable(value) == term.types.atom end

--- `true` or `false`.
function shape.boolean(value) return type(value) == "boolean" end

--- What `shape.to_text` can read.
function shape.text(value) return term.text(value) ~= nil end

--- This atom, boolean or integer, and nothing else.
function shape.is(wanted)
  return function(value) return value == wanted end
end

--- One of several shapes.
function shape.either(...)
  local shapes = { ... }
  return function(value)
    for _, has in ipairs(shapes) do
      if has(value) then return true end
    end
    return false
  end
end

--- A tuple of as many elements as there are shapes, which they have.
function shape.tuple(...)
  local elements = { ... }
  return function(value)
    if term.kind(value) ~= "tuple" or #value ~= #elements then return false end
    for i, has in ipairs(elements) do
      if not has(value[i]) then return false end
    end
    return true
  end
end

--- A proper list of what has a shape, of this length where one is given.
-- @tparam[opt=shape.any] function item
-- @tparam[opt] integer count
function shape.list(item, count)
  return function(value)
    local kind = term.kind(value)
    if kind ~= "list" and kind ~= "charlist" or kind == "list" and rawget(value, "tail") ~= nil then return false end
    if count and #value ~= count then return false end
    for i = 1, item and #value or 0 do
      if not item(value[i]) then return false end
    end
    return true
  end
end

--- The text of an atom, a binary or a charlist, in one line, harmless to a terminal and to a log: for names and versions, which
-- go into messages. Only what was meant to do harm, or is no text at all, comes out as something else than it was.
-- @return string, or nil where there is no text in it
function shape.to_text(value)
  local text = term.text(value)
  return text and escape.line(text)
end

--- Passes an answer on where it has a shape.
-- @param node whose answer it is; its `name` is all that counts
-- @string what was asked, as "module:function" or in words
-- @tparam function has the shape
-- @param value what was answered; nil, message, code, reason pass as they are
-- @return[1] value
-- @return[2] nil, message, code: "protocol" where it has another shape
-- @usage local rows, message, code = shape.expect(node, "ets:all", shape.list(shape.any), node:call("ets", "all"))
function shape.expect(node, what, has, value, message, code, reason)
  if value == nil then return nil, message, code, reason end
  if has(value) then return value end
  return nil, ("%s answered %s in a shape that is not known here: %s"):format(
    node.name, what, term.kind(value) or type(value)), "protocol"
end

return shape
