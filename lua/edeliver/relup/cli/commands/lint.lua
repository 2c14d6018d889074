--- `lint`: what is wrong with a relup file, before a node finds it.
--
-- @module edeliver.relup.cli.commands.lint

local linter = require "edeliver.relup.lint"
local exit = require "edeliver.relup.cli.exit"
local output = require "edeliver.relup.cli.output"
local file = require "edeliver.relup.file"

local lint = {
  summary = "Look for what is wrong with a relup file.",
  description = "With the ebin folders of both releases it also looks for modules that changed and are not loaded,\n"
    .. "and for calls of functions that do not exist. Exit code 1 where there are errors.",
  examples = {
    "edeliver-relup lint releases/1.4.6/relup",
    "edeliver-relup lint relup --old old/lib/*/ebin --new new/lib/*/ebin",
  },
}

function lint.add_to_parser(parser)
  parser:argument("relup", "The relup file."):argname "<relup>"
  parser:option("--old", "The ebin folders of the release that it leads from."):args "+":argname "DIR"
  parser:option("--new", "The ebin folders of the release that it leads to."):args "+":argname "DIR"
  parser:option("--from", "The version in --old, where the relup has entries for several."):argname "VERSION"
  parser:flag("--strict", "Warnings count as errors.")
end

--- Runs the command.
-- @return exit code
function lint.command(args)
  local out = args.output
  local read, message, code = file.read_relup(args.relup)
  local findings
  if read then findings, message, code = linter(read.relup, { old = args.old, new = args.new, version = args.from }) end
  if not findings then
    out:fail(message, code)
    return code == "syntax" and exit.REFUSED or exit.FAILED
  end
  local errors, listed = 0, output.array {}
  for i, finding in ipairs(findings) do
    if finding.level == "error" or args.strict then errors = errors + 1 end
    listed[i] = {
      level = finding.level, kind = finding.kind, reason = finding.reason, place = finding.place,
      direction = finding.direction, version = finding.version, position = finding.position,
    }
    out:line(tostring(finding), finding.level == "error" and "red" or "yellow")
  end
  out:give { findings = listed, errors = errors }
  if #findings == 0 then out:line("Nothing is wrong with " .. args.relup .. ".") end
  if errors == 0 then return exit.OK end
  out:fail(("%d findings in %s"):format(errors, args.relup), "lint")
  return exit.REFUSED
end

return lint
