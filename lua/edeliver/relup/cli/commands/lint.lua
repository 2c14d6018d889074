--- `lint`: what is wrong with a relup or an appup, before a node or systools finds it.
--
-- @module edeliver.relup.cli.commands.lint

local linter = require "edeliver.relup.lint"
local count = require "edeliver.relup.base.count"
local exit = require "edeliver.relup.cli.exit"
local output = require "edeliver.relup.cli.output"
local file = require "edeliver.relup.file"
local relup_of = require "edeliver.relup.script.relup"

local lint = {
  summary = "Look for what is wrong with a relup or an appup.",
  description = "Errors are what release_handler or systools refuses, and what fails or hangs an upgrade.\n"
    .. "With the ebin folders of both releases it also looks for modules that changed and are not loaded, for calls\n"
    .. "of functions that do not exist, and for what the release does not have. Exit code 1 where there are errors.",
  examples = {
    "edeliver-relup lint releases/1.4.6/relup",
    "edeliver-relup lint relup --old old/lib/*/ebin --new new/lib/*/ebin",
    "edeliver-relup lint src/myapp.appup",
  },
}

function lint.add_to_parser(parser)
  parser:argument("relup", "The relup or appup file."):argname "<relup>"
  parser:option("--old", "The ebin folders of the release that it leads from."):args "+":argname "DIR"
  parser:option("--new", "The ebin folders of the release that it leads to."):args "+":argname "DIR"
  parser:option("--from", "The version in --old, where the relup has entries for several."):argname "VERSION"
  parser:flag("--strict", "Warnings count as errors.")
end

-- The name of a file says what it is; of other files the shape does.
local function is_appup(path, value)
  local name = path:match "[^/]*$"
  if name:find("appup", 1, true) then return true end
  return not name:find("relup", 1, true) and relup_of.is_appup(value)
end

-- The findings in a file, or nil, message, code.
local function check(args)
  local found, message, code = file.read(args.relup)
  if not found then return nil, message, code end
  local options = { old = args.old, new = args.new, version = args.from }
  if is_appup(args.relup, found.terms[1]) then
    if #found.terms > 1 then
      args.output:note(("%s holds %d terms; systools reads the first"):format(args.relup, #found.terms))
    end
    return linter.appup(found.terms[1], options)
  elseif #found.terms ~= 1 then
    return nil, ("%s holds %d terms; a relup is one"):format(args.relup, #found.terms), "syntax"
  end
  return linter.relup(found.terms[1], options)
end

--- Runs the command.
-- @return exit code
function lint.command(args)
  local out = args.output
  local findings, message, code = check(args)
  if not findings then
    out:fail(message, code)
    return code == "syntax" and exit.REFUSED or exit.FAILED
  end
  local array = output.array
  local errors, listed = 0, array {}
  for i, finding in ipairs(findings) do
    if finding.level == "error" or args.strict then errors = errors + 1 end
    listed[i] = {
      level = finding.level, kind = finding.kind, reason = finding.reason, place = finding.place,
      direction = finding.direction, version = finding.version, versions = array(finding.versions),
      position = finding.position, positions = array(finding.positions), modules = array(finding.modules), count = finding.count,
    }
    out:line(tostring(finding), finding.level == "error" and "red" or "yellow")
  end
  out:give { findings = listed, errors = errors }
  if #findings == 0 then out:line("Found nothing wrong with " .. args.relup .. ".") end
  if errors == 0 then return exit.OK end
  out:fail(("%s in %s"):format(count.of(errors, "error"), args.relup), "lint")
  return exit.REFUSED
end

return lint
