--- `show`: a relup file, readable: which way it leads, and its instructions one a line.
--
-- @module edeliver.relup.cli.commands.show

local exit = require "edeliver.relup.cli.exit"
local output = require "edeliver.relup.cli.output"
local file = require "edeliver.relup.file"
local effects = require "edeliver.relup.script.effects"
local term = require "edeliver.relup.term"

local show = {
  summary = "Show a relup file: its ways up and down, one instruction a line.",
  examples = { "edeliver-relup show releases/1.4.6/relup" },
}

function show.add_to_parser(parser) parser:argument("relup", "The relup file."):argname "<relup>" end

local function color_of(instruction)
  if effects.is_point_of_no_return(instruction) then return "red" end
  if effects.applies(instruction) then return "green" end
  if effects.modifies_processes(instruction) or effects.modifies_applications(instruction) then return "yellow" end
end

--- Runs the command.
-- @return exit code
function show.command(args)
  local out = args.output
  local relup, message, code = file.read_relup(args.relup)
  if not relup then
    out:fail(message, code)
    return exit.FAILED
  end
  local entries = output.array {}
  for i, entry in ipairs(relup.entries) do
    entries[i] = { direction = entry.direction, version = entry.version, instructions = output.array {} }
    out:line(("%s%s, %s"):format(i > 1 and "\n" or "", relup.version, entry.title), "bold")
    for j, instruction in ipairs(entry.instructions) do
      local text = term.format(instruction)
      entries[i].instructions[j] = text
      out:line(("%4d  %s"):format(j, text), color_of(instruction))
    end
  end
  out:give { version = relup.version, entries = entries }
  return exit.OK
end

return show
