--- Operating system processes for specs: started in a temporary folder of their own, ended by recorded pid, and ended
-- by themselves when this program dies, because they live no longer than a pipe from us (keep.sh).
-- It knows nothing of Erlang.

local system = require "system"

local process = {}
local methods = {}
local metatable = { __index = methods }

--- How many times as long as usual whatever a spec waits for may take, and its other upper bounds of time are: under valgrind,
-- which makes us that much slower (tools/test valgrind).
process.patience = tonumber(os.getenv "EDR_PATIENCE") or 1

--- Whether the module that was loaded is the one that was built with the sanitizers (tools/test asan).
process.sanitized = os.getenv "ASAN_OPTIONS" ~= nil

local here = debug.getinfo(1, "S").source:match "^@(.*)/[^/]*$"

--- The root of the checkout, as an absolute path.
local pwd = io.popen(("cd '%s/../..' && pwd"):format(here))
process.root = pwd:read "l"
pwd:close()

--- Quotes a word for the shell.
function process.quote(word)
  return "'" .. tostring(word):gsub("'", "'\\''") .. "'"
end

function process.sleep(ms)
  system.sleep(ms / 1000)
end

--- Milliseconds that only grow.
function process.now()
  return system.monotime() * 1000
end

--- Asks `condition` every few milliseconds; its first true answer, or nil when `timeout` ms (times `process.patience`) have
-- gone by.
function process.wait_until(condition, timeout)
  local deadline = process.now() + (timeout or 5000) * process.patience
  repeat
    local answer = condition()
    if answer then return answer end
    process.sleep(10)
  until process.now() > deadline
  return nil
end

--- The whole of a file, or nil where there is none.
function process.read_file(path)
  local file = io.open(path, "rb")
  if not file then return nil end
  local text = file:read "a"
  file:close()
  return text
end

--- Runs a shell command to its end: what it printed, and whether it succeeded.
function process.output(command)
  local pipe = assert(io.popen(command, "r"))
  local text = pipe:read "a"
  return text, (pipe:close())
end

--- Runs a shell command, made as `string.format` makes texts; raises where it fails.
function process.shell(text, ...)
  local printed, succeeded = process.output("{ " .. text:format(...) .. "\n} 2>&1")
  assert(succeeded, printed)
end

--- A new temporary folder. A process that is started in it removes it when it ends; else it is the caller's to remove.
function process.temporary_folder()
  return (process.output("mktemp -d \"${TMPDIR:-/tmp}/edeliver-relup.XXXXXX\""):gsub("\n$", ""))
end

function process.remove_folder(path)
  assert(path:find("/edeliver-relup.", 1, true), "not one of ours: " .. path)
  os.execute("rm -rf " .. process.quote(path))
end

--- Starts a program.
-- @tparam table options `command` (a list of words), `env` (name to value), `folder` (default: a new temporary one)
-- @return an object with `folder` and the methods below
function process.start(options)
  local self = setmetatable({ folder = options.folder or process.temporary_folder() }, metatable)
  local words = {}
  for name, value in pairs(options.env or {}) do words[#words + 1] = process.quote(name .. "=" .. value) end
  -- A session of its own: an interrupt at the terminal is for the specs, which then end this by closing the pipe.
  words[#words + 1] = "setsid " .. process.quote(process.root .. "/spec/support/keep.sh")
  words[#words + 1] = process.quote(self.folder)
  for _, word in ipairs(options.command) do words[#words + 1] = process.quote(word) end
  self.pipe = assert(io.popen("exec env " .. table.concat(words, " "), "w"))
  return self
end

--- The process id, or nil before it has started.
function methods:pid()
  return tonumber(process.read_file(self.folder .. "/pid") or "")
end

--- The exit status, or nil while it runs.
function methods:exited()
  return tonumber(process.read_file(self.folder .. "/exit") or "")
end

--- All that it has printed.
function methods:printed()
  return process.read_file(self.folder .. "/out") or ""
end

--- Writes a line to its standard input.
function methods:write(line)
  self.pipe:write(line, "\n")
  self.pipe:flush()
end

--- Sends a signal by name: `"STOP"`, `"CONT"`, `"KILL"`.
function methods:signal(name)
  local pid = self:pid()
  local sent = os.execute(("kill -%s %d 2>/dev/null"):format(name, pid)) == true
  -- A machine that is busy takes its time to stop all threads of a program.
  local function has_stopped()
    return not process.output(("cat /proc/%d/task/*/stat 2>/dev/null"):format(pid)):find "%) [RSD] "
  end
  if sent and name == "STOP" then process.wait_until(has_stopped, 5000) end
  return sent
end

--- Ends it and waits until it is gone; its temporary folder goes too. May be called twice.
function methods:stop()
  if not self.pipe then return end
  self.pipe:close()
  self.pipe = nil
end
metatable.__close = methods.stop
metatable.__gc = methods.stop

return process
