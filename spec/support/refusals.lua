--- Refusals before the first stop: what a dry run and a real one say of the same install, which has to be the same, and that
-- nothing was touched.

local clients = require "support.clients"
local live = require "support.live"
local process = require "support.process"
local relup = require "edeliver.relup"

local refusals = {}
local methods = {}

local STEPS = {
  "check_ranch_acceptors", "check_ranch_connections", "suspend_ranch_acceptors", "suspend_channels", "install",
  "resume_channels", "resume_ranch_acceptors",
}

--- Starts a chat release with open sockets and a connection to it.
-- @tparam[opt] table options as `chat.start` takes them
function refusals.start(options)
  local self = live.start(options)
  self.sockets = clients.start()
  self.sockets:open { port = self.ports.endpoint, count = 5, interval = 50 }
  self.folder = process.temporary_folder()
  for name, method in pairs(methods) do self[name] = method end
  return self
end

--- Runs a sequence that installs.
-- @return what `sequence:run` gives, and what was logged
function methods:run(version, options, config)
  local steps, lines = table.move(STEPS, 1, #STEPS, 1, {}), {}
  steps[5] = relup.install(options)
  local given = {
    name = "chat", version = version, journal = false, log = function(level, text) lines[#lines + 1] = level .. ": " .. text end,
  }
  for name, value in pairs(config or {}) do given[name] = value end
  local report, message, unfinished = relup.sequence(steps):run(self.node, given)
  return report, message, unfinished, table.concat(lines, "\n")
end

--- Both runs of an install have to refuse it with the same words, before anything is stopped.
-- @return the message, and its code
function methods:refused(version, options)
  local before = self.release:releases()
  self.sockets:reset()
  local messages, codes = {}, {}
  for i, dry in ipairs { true, false } do
    local report, message, unfinished = self:run(version, options, { dry_run = dry })
    assert(not report, "it was not refused" .. (dry and " in a dry run" or ""))
    assert(#unfinished.steps == 1 and unfinished.steps[1].name == "install (prepare)", tostring(unfinished))
    messages[i], codes[i] = message, unfinished.code
  end
  assert(messages[1] == messages[2], ("a dry run says\n%s\nand a real one\n%s"):format(messages[1], messages[2]))
  assert(codes[1] == codes[2])
  local after = self.release:releases()
  for name, status in pairs(before) do assert(after[name] == status) end
  for name, status in pairs(after) do assert(before[name] == status) end
  local stats = self.sockets:drain()
  assert(stats.open == 5 and stats.reconnects == 0 and stats.lost == 0)
  self.sockets:go()
  return messages[1], codes[1]
end

--- The shell's words in the release's folder, and in a temporary one, `$T`.
function methods:shell(command)
  local line = ("cd %s && T=%s && { %s ; }"):format(process.quote(self.release.root), process.quote(self.folder), command)
  local printed, succeeded = process.output(line .. " 2>&1")
  assert(succeeded, printed)
  return printed
end

--- Writes a file below the release's folder.
function methods:write(name, text)
  local file <close> = assert(io.open(self.release.root .. "/" .. name, "wb"))
  file:write(text)
end

--- Reads one.
function methods:read(name) return process.read_file(self.release.root .. "/" .. name) end

function methods:stop()
  self.sockets:stop()
  self.node:close()
  self.release:stop()
  process.remove_folder(self.folder)
end

return refusals
