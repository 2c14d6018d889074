-- An instruction of one's own, inside the relup: lua5.4 own_instruction.lua NODE APPLICATION VERSION
--
-- OTP's own script calls for it at its place, between the loading of modules; this program answers.

local relup = require "edeliver.relup"
local instruction = require "edeliver.relup.instruction"
local insert_instruction = require "edeliver.relup.insert_instruction"

local collect_garbage = instruction.define {
  name = "collect_garbage",

  -- What run will be given: here, the application's name as an atom.
  arguments = instruction.application_name,

  -- Where it goes in the up and down lists of a relup.
  insert_where = function() return insert_instruction.append end,

  -- And where it stands among the steps of a sequence.
  order = {
    { after = "install", because = "the old code's data is garbage only then" },
    { before = "resume_channels", because = "it is cheaper while they stand still" },
  },

  -- The result is for the report; nil, message, code where it failed.
  run = function(node, _, ctx)
    local suspended = ctx:suspended()
    if #suspended == 0 then return "nobody is suspended" end
    local done, message, code = node:map("erlang", "garbage_collect", suspended, 30000)
    if not done then return nil, message, code end
    return ("%d processes"):format(#done)
  end,
}

local upgrade = relup.sequence {
  "check_processes_running_old_code", "check_ranch_acceptors", "check_ranch_connections",
  "suspend_ranch_acceptors", "suspend_channels", "finish_running_requests",
  relup.install(),
  "rerun_failed_requests", collect_garbage, "resume_channels", "resume_ranch_acceptors",
}

local name, application, version = arg[1], arg[2], arg[3]
if not version then
  io.stderr:write "usage: lua5.4 own_instruction.lua NODE APPLICATION VERSION\n"
  os.exit(64)
end

local node <close> = assert(relup.connect(name))
local report, message, failed = upgrade:install(node, { name = application, version = version })
print(report or failed)
if not report then
  io.stderr:write(message, "\n")
  os.exit(1, true)
end
