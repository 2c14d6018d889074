--- `resume`: resumes suspended processes: all of them, or those that are named.
--
-- @module edeliver.relup.cli.commands.resume

local bulk_result = require "edeliver.relup.node.bulk_result"
local count = require "edeliver.relup.base.count"
local exit = require "edeliver.relup.cli.exit"
local output = require "edeliver.relup.cli.output"
local recover = require "edeliver.relup.recover"
local session = require "edeliver.relup.cli.session"

local resume = {
  on_node = true,
  summary = "Resume suspended processes: all of the node, or the pids given.",
  description = "Without pids it resumes every suspended process of the node, also those that another upgrade has\n"
    .. "suspended: look with `stuck` first.",
  examples = { "edeliver-relup myapp@web1 resume", "edeliver-relup myapp@web1 resume '<0.512.0>' 0.513.0" },
}

function resume.add_to_parser(parser)
  parser:argument("pids", "Pids, as `stuck` shows them."):args "*"
  parser:option("--wait", "How long to wait for their answers, in ms (default: 5000)."):argname "MS"
    :convert(require("edeliver.relup.cli.parser").positive)
end

local function chosen(node, args)
  if #args.pids > 0 then
    local pids, message, code = session.pids(node, args.pids)
    return pids and node:pids(pids), message, code
  end
  return recover.find_suspended(node)
end

--- Says what a bulk request came to, and gives the exit code.
-- @param args
-- @string verb "resumed" or "suspended"
-- @param pids those that were asked
-- @param answer as `node:bulk_resume` gives it, and the same for failures (how many) and errors
function resume.report(args, verb, pids, answer, failures, errors)
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
-- @return exit code
function resume.command(args)
  local node <close>, failed = session.connect(args)
  if not node then return failed end
  local pids, message, code = chosen(node, args)
  if not pids then
    args.output:fail(message, code)
    return code == "badarg" and exit.USAGE or exit.FAILED
  end
  local question = ("Resumes %s on %s."):format(count.of(#pids, "process"), node.name)
  if #pids > 0 and not session.confirm(args, question) then return exit.REFUSED end
  return resume.report(args, "resumed", pids, node:bulk_resume(pids, args.wait or 5000))
end

return resume
