--- What `suspend` and `resume` share: the pids given, or what is meant without them; the question; and what it came to.
--
-- @module edeliver.relup.cli.bulk_command

local bulk_result = require "edeliver.relup.node.bulk_result"
local count = require "edeliver.relup.base.count"
local exit = require "edeliver.relup.cli.exit"
local option_names = require "edeliver.relup.cli.option_names"
local output = require "edeliver.relup.cli.output"
local parser = require "edeliver.relup.cli.parser"
local session = require "edeliver.relup.cli.session"

local bulk_command = {}

--- Adds the pids and how long to wait for them.
-- @string shown_by where pids are shown, as "`stuck` shows them"
function bulk_command.add_to_parser(to, shown_by)
  to:argument("pids", ("Pids, as %s."):format(shown_by)):args "*"
  to:option("--wait", "How long to wait for their answers, in ms (default: 5000)."):argname "MS":convert(parser.positive)
end

-- Says what a bulk request came to, and gives the exit code.
local function report(args, verb, pids, answer, failures, errors)
  if not answer then
    args.output:fail(failures, errors)
    return exit.SUSPENDED
  end
  local silent, list = #bulk_result.sort(pids, errors).silent, {}
  for i, failed in ipairs(errors or {}) do list[i] = { pid = tostring(failed.pid), reason = failed.reason } end
  args.output:give { answer = answer, asked = #pids, [verb] = #pids - (failures or 0), errors = output.array(list) }
  args.output:line(#pids == 0 and ("No process was %s."):format(verb)
    or ("%d of %s %s."):format(#pids - (failures or 0), count.of(#pids, "process"), verb))
  for i = 1, math.min(#list, 20) do args.output:line(("  %s: %s"):format(list[i].pid, list[i].reason)) end
  if silent == 0 then return exit.OK end
  args.output:fail(("%s did not confirm that %s %s"):format(count.of(silent, "process"),
    count.verb(silent, "it is", "they are"), verb), "timeout")
  return exit.SUSPENDED
end

--- Runs the command.
-- @param args
-- @tparam table command `verb` ("resumed"); `find(node, args)`: a pid set where no pids are given, or nil, message, code;
-- `question(node, pids)`, before it is done; `request(node, pids, timeout)`
-- @return exit code
function bulk_command.run(args, command)
  local node <close>, failed = session.connect(args)
  if not node then return failed end
  local given = #args.pids > 0
  local pids, message, code = (given and session.pids or command.find)(node, given and args.pids or args)
  if not pids then
    args.output:fail(option_names.of(message), code)
    return exit.of(code)
  end
  pids = node:pids(pids)
  if #pids > 0 and not session.confirm(args, command.question(node, pids)) then return exit.REFUSED end
  return report(args, command.verb, pids, command.request(node, pids, args.wait or 5000))
end

return bulk_command
