--- Erlang expressions from the REPL: evaluated on the node, with variables that stay bound, as in the Erlang shell.
--
-- @classmod edeliver.relup.repl.erlang

local output = require "edeliver.relup.cli.output"
local term = require "edeliver.relup.term"

local erlang = {}
erlang.__index = erlang

local atom = term.atom
local TIMEOUT = 60000 -- ms

--- Variables of no node yet.
function erlang.new() return setmetatable({ bindings = {} }, erlang) end

-- What erl_scan or erl_parse refused, in Erlang's own words: `{error, {Location, Module, Descriptor}, ...}`.
local function complaint(node, answer)
  local info = answer[2]
  local words = node:call(info[2].name, "format_error", { info[3] })
  local text = words and term.text(words)
  return nil, output.escape(text or term.format(info)), "syntax"
end

local function parse(node, text)
  local tokens, message, code = node:call("erl_scan", "string", { term.charlist(text) })
  if not tokens then return nil, message, code end
  if tokens[1] ~= atom "ok" then return complaint(node, tokens) end
  local forms
  forms, message, code = node:call("erl_parse", "parse_exprs", { tokens[2] })
  if not forms then return nil, message, code end
  if forms[1] ~= atom "ok" then return complaint(node, forms) end
  return forms[2]
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
  answer, message, code, reason = node:call("erl_eval", "exprs", { forms, bound }, TIMEOUT)
  if not answer then
    -- As the Erlang shell says it.
    if reason ~= nil then message = ("** exception %s: %s"):format(code, term.format(reason)) end
    return nil, message, code
  end
  self.bindings[node.name] = answer[3]
  return answer[2]
end

return erlang
