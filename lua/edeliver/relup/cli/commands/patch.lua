--- `patch`: puts the instructions of a modification into a relup file, every entry of it.
--
-- @module edeliver.relup.cli.commands.patch

local count = require "edeliver.relup.base.count"
local exit = require "edeliver.relup.cli.exit"
local file = require "edeliver.relup.file"
local guard_call = require "edeliver.relup.script.guard_call"
local modification = require "edeliver.relup.modification"
local output = require "edeliver.relup.cli.output"
local term = require "edeliver.relup.term"

local patch = {
  summary = "Put the instructions that keep websockets alive into a relup file.",
  description = "The file is replaced at once or not at all; the old one stays beside it as relup.bak.\n"
    .. "Ways that restart the emulator are left alone: no connection outlives that.",
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
    :choices { "phoenix", "default" }:default "phoenix":show_default(false)
  parser:option("--script", "A Lua file that returns a modification of yours."):argname "FILE.lua"
  parser:option("--runtime", "Who runs the instructions: the guard, from outside (default), or edeliver in the release.")
    :choices { "guard", "edeliver" }:default "guard":show_default(false)
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
local function patched_already(entries)
  for _, entry in ipairs(entries) do
    for _, instruction in ipairs(entry.instructions) do
      local text = term.format(instruction)
      if guard_call.request(instruction) or text:find("Elixir.Edeliver.Relup.Instructions", 1, true) then
        return ("%s: %s"):format(entry.title, text)
      end
    end
  end
end

local RESTART = "%s is left alone: %s ends every connection, and the new emulator has no guard to call"

-- What must not be patched: nil, message, code; else the entries that are left alone.
local function look(path, entries)
  if #entries == 0 then return nil, path .. " has no way up and no way down: there is nothing to patch", "no_way" end
  local already = patched_already(entries)
  if already then
    return nil, ("%s is patched already (%s): patch the one that the build made"):format(path, already), "patched"
  end
  local left = output.array {}
  for _, entry in ipairs(entries) do
    if entry.restart then left[#left + 1] = RESTART:format(entry.title, entry.restart) end
  end
  if #left == #entries then
    return nil, ("%s is not patched, for every way in it restarts the emulator: %s"):format(path, left[1]), "restart"
  end
  return left
end

--- Runs the command.
-- @return exit code
function patch.command(args)
  local out = args.output
  local function fail(message, code, how)
    out:fail(message, code)
    return how
  end
  local read, message, code = file.read_relup(args.relup)
  if not read then return fail(message, code, exit.FAILED) end
  local chosen
  chosen, message, code = choose(args)
  if not chosen then return fail(message, code, exit.USAGE) end
  local left
  left, message, code = look(args.relup, read.entries)
  if not left then return fail(message, code, exit.REFUSED) end
  for _, text in ipairs(left) do out:note(text) end
  local terms = { modification.apply(read.relup, { name = args.app, runtime = args.runtime }, chosen) }
  if args.print then
    local text = file.text(read, terms)
    out:give { text = text, left_alone = left }
    out:line((text:gsub("\n$", "")))
    return exit.OK
  end
  local backup
  backup, message, code = file.write(read, terms)
  if backup == nil then return fail(message, code, exit.FAILED) end
  local changed = #read.entries - #left
  out:give { changed = backup ~= false, backup = backup or nil, entries = changed, left_alone = left }
  out:line(backup and ("%s: %s changed; the old file is %s."):format(args.relup, count.of(changed, "entry", "entries"), backup)
    or args.relup .. ": nothing to change.")
  return exit.OK
end

return patch
