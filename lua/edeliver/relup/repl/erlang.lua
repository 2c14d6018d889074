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

--- Evaluates expressions.
-- @param node
-- @string text with or without its full stop
-- @return[1] the value of the last one
-- @return[2] nil, message, code
function erlang:eval(node, text)
  text = text:gsub("%s+$", "")
  local value, bound, code, reason =
    node:eval_with_variables(text:find "%.$" and text or text .. ".", self.bindings[node.name], TIMEOUT)
  if value == nil then return nil, explain(node, bound, code, reason), code end
  self.bindings[node.name] = bound
  return value
end

return erlang
