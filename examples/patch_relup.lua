-- Patches a relup in a build, as edeliver does it: lua5.4 patch_relup.lua RELUP APPLICATION [RUNTIME]
--
-- RUNTIME is "guard" (default: an operator's program runs the instructions) or "edeliver" (the release carries its modules).
-- Needs no node and no Erlang.

local relup = require "edeliver.relup"
local phoenix = require "edeliver.relup.phoenix_modification"

local path, application, runtime = arg[1], arg[2], arg[3] or "guard"
if not application then
  io.stderr:write "usage: lua5.4 patch_relup.lua RELUP APPLICATION [RUNTIME]\n"
  os.exit(64)
end

local backup, message = relup.file.modify(path, { name = application, runtime = runtime }, phoenix)
if backup == nil then error(message, 0) end
print(backup and ("%s is patched, the old one is %s"):format(path, backup) or path .. " is as it was: nothing to patch")

local errors = 0
for _, finding in ipairs(relup.lint(assert(relup.read(path))[1])) do
  print(finding)
  if finding.level == "error" then errors = errors + 1 end
end
os.exit(errors == 0 and 0 or 1, true)
