--- Erlang expressions from the REPL: evaluated on the node, with variables that stay bound, as in the Erlang shell.
--
-- @classmod edeliver.relup.repl.erlang

local shape = require "edeliver.relup.node.shape"
local term = require "edeliver.relup.term"

local erlang = {}
erlang.__index = erlang

local TIMEOUT = 60000 -- ms
local EVALUATED = shape.tuple(shape.is(term.atom "value"), shape.any, shape.any)

--- Variables of no node yet.
function erlang.new() return setmetatable({ bindings = {} }, erlang) end

-- Expressions as forms; what is wrong with them in Erlang's own words.
local function parse(node, text)
  local forms, message, code, reason = node:parse(text)
  if code == "syntax" then
    local words = node:call(reason[2].name, "format_error", { reason[3] })
    return nil, words and shape.to_text(words) or message, code
  end
  return forms, message, code
end

--- Evaluates expressions.
-- @param node
-- @string text with or without its full stop
-- @return[1] the value of the last one
-- @return[2] nil, message, code
function erlang:eval(node, text)
  text = text:gsub("%s+$", "")
  local forms, message, code = parse(node, text:find "%.$" and text or text .. ".")
  if not forms then return nil, message, code end
  local bound = self.bindings[node.name] or term.list {}
  local answer, reason
  answer, message, code, reason =
    shape.expect(node, "erl_eval:exprs", EVALUATED, node:call("erl_eval", "exprs", { forms, bound }, TIMEOUT))
  if not answer then
    -- As the Erlang shell says it.
    if reason ~= nil then message = ("** exception %s: %s"):format(code, term.format(reason)) end
    return nil, message, code
  end
  self.bindings[node.name] = answer[3]
  return answer[2]
end

return erlang
