--- `call`: one function call on a node.
--
-- @module edeliver.relup.cli.commands.call

local consult = require "edeliver.relup.consult"
local count = require "edeliver.relup.base.count"
local exit = require "edeliver.relup.cli.exit"
local output = require "edeliver.relup.cli.output"
local session = require "edeliver.relup.cli.session"
local shape = require "edeliver.relup.node.shape"
local term = require "edeliver.relup.term"

local call = {
  on_node = true,
  summary = "Call a function on the node and print what it returns.",
  description = "Arguments are Erlang terms. Module and function are written without quotes. The exit code is 1 where the\n"
    .. "answer is {error, Reason}.",
  examples = {
    "edeliver-relup myapp@web1 call erlang system_info otp_release",
    "edeliver-relup myapp@web1 call lists reverse '[1,2,{a,<<\"b\">>}]'",
    "edeliver-relup myapp@web1 call Elixir.MyApp.Repo config",
  },
}

--- Adds the command's arguments and options to its parser.
function call.add_to_parser(parser)
  parser:argument("module", "The module."):argname "<module>"
  parser:argument("function", "The function."):argname "<function>"
  parser:argument("arguments", "Its arguments, as Erlang terms."):args "*":argname "<term>"
  parser:option("--wait", "How long to wait for the answer, in ms (default: 5000)."):argname "MS"
    :convert(require("edeliver.relup.cli.parser").positive)
end

local FAILED = shape.tuple(shape.is(term.atom "error"), shape.any)
local MOST_PRINTED = 4 << 20 -- bytes that are kept until the call has ended

-- What takes up the texts that are printed, and gives them as one, and how many bytes it had no room for.
local function new_paper()
  local texts, room, left_out = {}, MOST_PRINTED, 0
  local function print_on(text)
    local size = #text
    if size > room then text = text:sub(1, utf8.offset(text, 0, room + 1) - 1) end
    texts[#texts + 1] = text
    room = #text == size and room - size or 0
    left_out = left_out + size - #text
  end
  return print_on, function() return table.concat(texts), left_out end
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
  local question = ("Calls %s:%s/%d on %s."):format(args.module, args["function"], #terms, node.name)
  if not session.confirm(args, question) then return exit.REFUSED end
  local print_on, printed = new_paper()
  node:on_output(print_on)
  local value
  out:wait(("%s:%s/%d"):format(args.module, args["function"], #terms))
  value, message, code = node:call(args.module, args["function"], terms, args.wait)
  local text, left_out = printed()
  if text ~= "" then out:line((text:gsub("\n$", ""))) end
  if left_out > 0 then out:note(("%s more %s printed, and not shown"):format(count.of(left_out, "byte"),
    count.verb(left_out, "was", "were"))) end
  if value == nil then
    out:fail(message, code)
    return exit.FAILED
  end
  local shown = term.format(value)
  out:give {
    value = shown, printed = text ~= "" and output.escape(text) or nil, not_printed = left_out > 0 and left_out or nil,
  }
  out:line(shown)
  if not FAILED(value) then return exit.OK end
  out:fail(("%s:%s/%d answered {error, ...}"):format(args.module, args["function"], #terms), "error")
  return exit.REFUSED
end

return call
