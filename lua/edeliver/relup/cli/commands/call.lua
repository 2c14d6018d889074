--- `call`: one function call on a node.
--
-- @module edeliver.relup.cli.commands.call

local consult = require "edeliver.relup.consult"
local exit = require "edeliver.relup.cli.exit"
local output = require "edeliver.relup.cli.output"
local session = require "edeliver.relup.cli.session"
local term = require "edeliver.relup.term"

local call = {
  on_node = true,
  summary = "Call a function on the node and print what it returns.",
  description = "Arguments are Erlang terms. Module and function are written without quotes.",
  examples = {
    "edeliver-relup myapp@web1 call erlang system_info otp_release",
    "edeliver-relup myapp@web1 call lists reverse '[1,2,{a,<<\"b\">>}]'",
    "edeliver-relup myapp@web1 call Elixir.MyApp.Repo config",
  },
}

--- Adds the command's arguments and options to its parser.
function call.add_to_parser(parser)
  parser:argument("module", "The module."):argname "<module>"
  parser:argument("fun", "The function."):argname "<function>"
  parser:argument("arguments", "Its arguments, as Erlang terms."):args "*":argname "<term>"
  parser:option("--wait", "How long to wait for the answer, in ms (default: 5000)."):argname "MS"
    :convert(require("edeliver.relup.cli.parser").positive)
end

local function parse_all(texts)
  local terms = {}
  for i, text in ipairs(texts) do
    local found, message = consult.parse(text .. " .")
    if not found or #found ~= 1 then
      return nil, ("argument %d, %s, is no Erlang term: %s"):format(i, text, message or "one term is wanted"), "syntax"
    end
    terms[i] = found[1]
  end
  return terms
end

--- Runs the command.
-- @return exit code
function call.command(args)
  local out = args.output
  local terms, message, code = parse_all(args.arguments)
  if not terms then
    out:fail(message, code)
    return exit.USAGE
  end
  local node <close>, failed = session.connect(args)
  if not node then return failed end
  local question = ("Calls %s:%s/%d on %s."):format(args.module, args.fun, #terms, node.name)
  if not session.confirm(args, question) then return exit.REFUSED end
  local printed, value = {}
  node:on_output(function(text) printed[#printed + 1] = text end)
  value, message, code = node:call(args.module, args.fun, terms, args.wait)
  local all_printed = table.concat(printed)
  if all_printed ~= "" then out:line((all_printed:gsub("\n$", ""))) end
  if value == nil then
    out:fail(message, code)
    return exit.FAILED
  end
  local text = term.format(value)
  out:give { value = text, printed = all_printed ~= "" and output.escape(all_printed) or nil }
  out:line(text)
  return exit.OK
end

return call
