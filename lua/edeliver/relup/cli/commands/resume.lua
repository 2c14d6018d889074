--- `resume`: resumes suspended processes: all of them, or those that are named.
--
-- @module edeliver.relup.cli.commands.resume

local bulk_command = require "edeliver.relup.cli.bulk_command"
local count = require "edeliver.relup.base.count"
local recover = require "edeliver.relup.recover"

local resume = {
  on_node = true,
  summary = "Resume suspended processes: all of the node, or the pids given.",
  description = "Without pids it resumes every suspended process of the node, also those that another upgrade has\n"
    .. "suspended: look with `stuck` first.",
  examples = { "edeliver-relup myapp@web1 resume", "edeliver-relup myapp@web1 resume '<0.512.0>' 0.513.0" },
}

function resume.add_to_parser(parser) bulk_command.add_to_parser(parser, "`stuck` shows them") end

--- Runs the command.
-- @return exit code
function resume.command(args)
  return bulk_command.run(args, {
    verb = "resumed",
    find = function(node) return recover.find_suspended(node) end,
    question = function(node, pids) return ("Resumes %s on %s."):format(count.of(#pids, "process"), node.name) end,
    request = function(node, pids, timeout) return node:bulk_resume(pids, timeout) end,
  })
end

return resume
