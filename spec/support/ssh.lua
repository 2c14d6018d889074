--- A real sshd on loopback, as this user, with keys of its own, and an `ssh` that knows it by the name "bastion".

local process = require "support.process"

local ssh = {}
local methods = {}
local metatable = { __index = methods, __close = function(self) self:stop() end }

local SSHD = "/usr/sbin/sshd"

--- Whether this machine has one.
function ssh.is_there() return process.output("test -x " .. SSHD .. " && command -v ssh && echo yes"):find "yes" ~= nil end

local function write(path, text)
  local file = assert(io.open(path, "w"))
  file:write(text)
  file:close()
end

-- Root's sshd wants its folder, which only the system's own start makes.
local SETUP = [[
set -e
cd %s
ssh-keygen -q -t ed25519 -N '' -f host
ssh-keygen -q -t ed25519 -N '' -f user
ssh-keygen -q -t ed25519 -N '' -f stranger
cp user.pub authorized
[ "$(id -u)" != 0 ] || mkdir -p /run/sshd
]]

local SERVER = [[
ListenAddress 127.0.0.1
Port %d
HostKey %s/host
AuthorizedKeysFile %s/authorized
PidFile none
StrictModes no
UsePAM no
PermitRootLogin prohibit-password
PasswordAuthentication no
]]

local CONFIG = [[
Host bastion locked
  HostName 127.0.0.1
  Port %d
  IdentitiesOnly yes
  UserKnownHostsFile %s/known
  GlobalKnownHostsFile /dev/null
Host bastion
  IdentityFile %s/user
Host locked
  IdentityFile %s/stranger
]]

-- On a port below the range that systems hand out by chance.
local function serve(folder, port)
  write(folder .. "/sshd_config", SERVER:format(port, folder, folder))
  local server = process.start { command = { SSHD, "-D", "-e", "-f", folder .. "/sshd_config" } }
  local up = process.wait_until(function()
    return server:exited() and "exited" or server:printed():find("Server listening", 1, true) and "up"
  end, 20000)
  if up == "up" then return server end
  local printed = server:printed()
  server:stop()
  return nil, printed
end

--- Starts one.
-- @return an object with `program`, an `ssh` for EDELIVER_RELUP_SSH, and the methods below
function ssh.start()
  local self = setmetatable({ folder = process.temporary_folder() }, metatable)
  local folder, why = self.folder, nil
  process.shell(SETUP, process.quote(folder))
  for _ = 1, 20 do
    self.port = math.random(20000, 32000)
    self.server, why = serve(folder, self.port)
    if self.server then break end
  end
  assert(self.server, why)
  write(folder .. "/config", CONFIG:format(self.port, folder, folder, folder))
  write(folder .. "/known", ("[127.0.0.1]:%d %s"):format(self.port, process.read_file(folder .. "/host.pub")))
  self.program = folder .. "/ssh"
  write(self.program, ("#!/bin/sh\necho $$ >>%s/started\nexec ssh -F %s/config \"$@\"\n"):format(folder, folder))
  process.shell("chmod 755 %s", process.quote(self.program))
  return self
end

--- The pids of what was started of our `ssh` so far.
function methods:started()
  local pids = {}
  for pid in (process.read_file(self.folder .. "/started") or ""):gmatch "%d+" do pids[#pids + 1] = pid end
  return pids
end

--- Whether all of these have ended.
function methods:have_all_ended()
  for _, pid in ipairs(self:started()) do
    if process.read_file("/proc/" .. pid .. "/cmdline") then return false end
  end
  return true
end

--- Ends it. May be called twice.
function methods:stop()
  if not self.folder then return end
  self.server:stop()
  process.remove_folder(self.folder)
  self.folder = nil
end

return ssh
