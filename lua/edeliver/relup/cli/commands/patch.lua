--- `patch`: puts the instructions of a modification into a relup file, every entry of it.
--
-- @module edeliver.relup.cli.commands.patch

local consult = require "edeliver.relup.consult"
local exit = require "edeliver.relup.cli.exit"
local file = require "edeliver.relup.file"
local modification = require "edeliver.relup.modification"
local relups = require "edeliver.relup.cli.relups"
local term = require "edeliver.relup.term"

local patch = {
  summary = "Put the instructions that keep websockets alive into a relup file.",
  description = "The file is replaced at once or not at all; the old one stays beside it as relup.bak.",
  examples = {
    "edeliver-relup patch releases/1.4.6/relup --app myapp",
    "edeliver-relup patch relup --app myapp --runtime edeliver --print",
    "edeliver-relup patch relup --app myapp --script my_modification.lua",
  },
}

function patch.add_to_parser(parser)
  parser:argument("relup", "The relup file."):argname "<relup>"
  parser:option("--app", "The application."):argname "NAME":count "1"
  parser:option("--modification", "phoenix: check, suspend, upgrade, resume (default). default: soft purges alone.")
    :choices { "phoenix", "default" }:default "phoenix"
  parser:option("--script", "A Lua file that returns a modification of yours."):argname "FILE.lua"
  parser:option("--runtime", "Who runs the instructions: the guard, from outside (default), or edeliver in the release.")
    :choices { "guard", "edeliver" }:default "guard"
  parser:flag("--print", "Print the new relup and leave the file alone.")
end

-- The modification that is asked for, or nil, message, code.
local function choose(args)
  if not args.script then return require("edeliver.relup." .. args.modification .. "_modification") end
  local chunk, message = loadfile(args.script)
  if not chunk then return nil, message, "script" end
  local made, chosen = pcall(chunk)
  if not made then return nil, tostring(chosen), "script" end
  if type(chosen) ~= "table" or type(chosen.modify_relup) ~= "function" then
    return nil, args.script .. " returns no modification: a table with modify_relup", "script"
  end
  return modification.define(chosen)
end

-- An instruction that is in there already would be there twice.
local function patched_already(relup)
  for _, entry in ipairs(relup.entries) do
    for _, instruction in ipairs(entry.instructions) do
      local text = term.format(instruction)
      if text:find("{gen_server,call,[edeliver_relup,", 1, true) or text:find("Elixir.Edeliver.Relup.Instructions", 1, true) then
        return ("%s: %s"):format(entry.title, text)
      end
    end
  end
end

-- Writes or prints. Gives the backup's path, or false where there was nothing to change, or nil, message, code.
local function apply(args, relup, chosen)
  local config = { name = args.app, runtime = args.runtime }
  if not args.print then return file.modify(args.relup, config, chosen) end
  local text = consult.write { modification.apply(relup.term, config, chosen) }
  args.output:give { text = text }
  args.output:line((text:gsub("\n$", "")))
  return true
end

--- Runs the command.
-- @return exit code
function patch.command(args)
  local out = args.output
  local relup, message, code = relups.read(args.relup)
  local chosen
  if relup then chosen, message, code = choose(args) end
  if not chosen then
    out:fail(message, code)
    return code == "script" and exit.USAGE or exit.FAILED
  end
  local already = patched_already(relup)
  if already then
    out:fail(("%s is patched already (%s): patch the one that the build made"):format(args.relup, already), "patched")
    return exit.REFUSED
  end
  local backup
  backup, message, code = apply(args, relup, chosen)
  if backup == nil then
    out:fail(message, code)
    return exit.FAILED
  end
  if args.print then return exit.OK end
  out:give { changed = backup ~= false, backup = backup or nil, entries = #relup.entries }
  out:line(backup and ("%s: %d entries changed; the old file is %s."):format(args.relup, #relup.entries, backup)
    or args.relup .. ": nothing to change.")
  return exit.OK
end

return patch
