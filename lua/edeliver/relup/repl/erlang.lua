--- Erlang expressions from the REPL: evaluated on the node, with variables that stay bound, as in the Erlang shell.
--
-- @classmod edeliver.relup.repl.erlang

local shape = require "edeliver.relup.node.shape"
local term = require "edeliver.relup.term"

local erlang = {}
erlang.__index = erlang

local TIMEOUT = 60000 -- ms

--- Variables of no node yet.
function erlang.new() return setmetatable({ bindings = {} }, erlang) end

-- What went wrong, as the Erlang shell says it.
local function explain(node, message, code, reason)
  if code == "syntax" then
    local words = node:call(reason[2].name, "format_error", { reason[3] })
    return words and shape.to_text(words) or message
  end
  return reason ~= nil and ("** exception %s: %s"):format(code, term.format(reason)) or message
end

-- With a full stop, which a person need not type.
local function ended(text)
  text = text:gsub("%s+$", "")
  return text:find "%.$" and text or text .. "."
end

local PARSED = shape.tuple(shape.is(term.atom "error"), shape.tuple(shape.any, shape.atom, shape.any))
local SCANNED = shape.tuple(shape.is(term.atom "error"), shape.tuple(shape.any, shape.atom, shape.any), shape.any)

--- Whether more has to follow before the text can be right: an end that is missing, a string that is open.
-- @param node
-- @string text
-- @treturn boolean
function erlang:is_incomplete(node, text) -- luacheck: no self
  if text:find "%.%s*$" then return false end
  local scanned = node:call("erl_scan", "string", { term.charlist(ended(text)) })
  if SCANNED(scanned) then
    return tostring(scanned[2][3]):find "unterminated" ~= nil or tostring(scanned[2][3]):find "^{?string" ~= nil
  end
  local parsed = scanned and node:call("erl_parse", "parse_exprs", { scanned[2] })
  if not PARSED(parsed) then return false end
  local words = node:call(parsed[2][2].name, "format_error", { parsed[2][3] })
  return words ~= nil and shape.to_text(words):find "before: *'?%.?'?$" ~= nil
end

--- Evaluates expressions.
-- @param node
-- @string text with or without its full stop
-- @return[1] the value of the last one
-- @return[2] nil, message, code
function erlang:eval(node, text)
  local value, bound, code, reason = node:eval_with_variables(ended(text), self.bindings[node.name], TIMEOUT)
  if value == nil then return nil, explain(node, bound, code, reason), code end
  self.bindings[node.name] = bound
  return value
end

return erlang
