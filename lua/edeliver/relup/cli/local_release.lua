--- A release folder on this machine, for `--release`: the cookie and the node's name that its start script would take.
--
-- Reads releases/COOKIE, releases/start_erl.data and the version's env.sh; runs nothing. What env.sh computes is not guessed.
--
-- @module edeliver.relup.cli.local_release

local core = require "edeliver.relup.core"

local local_release = {}

local MOST = 65536 -- bytes of a file that is read

local function read(path)
  local file <close>, message, code = core.open_plain(path)
  if not file then return nil, message, code end
  return file:read(MOST) or "", file
end

local function set(name)
  local value = os.getenv(name)
  return value ~= "" and value or nil
end

--- The name of this machine, as Erlang's short names have it.
-- @treturn string, or nil
function local_release.hostname()
  local text = read "/proc/sys/kernel/hostname"
  return text and text:match "^[%w_.-]+" or nil
end

--- The cookie: RELEASE_COOKIE, or the release's own.
-- @string path of the release
-- @return[1] string
-- @return[1] what has to be said of it, or nil
-- @return[2] nil, message, code
function local_release.cookie(path)
  local given = set "RELEASE_COOKIE"
  if given then return given end
  local name = path .. "/releases/COOKIE"
  local file <close>, message = core.open_plain(name)
  if not file then return nil, "no cookie: " .. message, "auth" end
  local about, line = core.file_stat(file), file:read "l"
  line = line and line:gsub("[\r\n]+$", "") or ""
  if line == "" or #line > 255 then
    return nil, ("no cookie: the first line of %s is empty or too long"):format(name), "auth"
  end
  if not about or about.mode & 63 == 0 then return line end
  return line, ("others on this machine can read %s, and do with the node what they like: chmod 400 it"):format(name)
end

-- What `export NAME=value` says, last of all; nil where nothing does, false where it is computed.
local function assigned(text, name)
  local found
  for line in text:gmatch "[^\r\n]+" do
    local value = line:match("^%s*export%s+" .. name .. "=(.*)$") or line:match("^%s*" .. name .. "=(.*)$")
    if value then
      value = value:gsub("%s+#.*$", ""):gsub("%s+$", "")
      value = value:match '^"(.*)"$' or value:match "^'(.*)'$" or value
      found = not value:find "[$`\\;&|]" and value
    end
  end
  return found
end

--- The node's name: RELEASE_NODE, what env.sh says, or the release's name; with this machine's name where it has no host.
-- @string path of the release
-- @return[1] string, "myapp@web1"
-- @return[2] nil, message, code
function local_release.node(path)
  local started, message, code = read(path .. "/releases/start_erl.data")
  if not started then return nil, ("%s is no release that was started: %s"):format(path, message), code end
  local version = started:match "^%S+%s+(%S+)"
  if not version or version:find "/" then
    return nil, path .. "/releases/start_erl.data names no version", "syntax"
  end
  local folder = ("%s/releases/%s"):format(path, version)
  local script = read(folder .. "/env.sh") or ""
  local name = assigned(script, "RELEASE_NODE")
  if name == nil then name = set "RELEASE_NODE" end
  if name == false then
    return nil, ("%s/env.sh computes RELEASE_NODE: say the node's name before the command"):format(folder), "badarg"
  end
  if name == nil then
    for file in pairs(core.list_folder(folder) or {}) do
      local of = file:match "^(.+)%.rel$"
      if of and of ~= "start_clean" and of ~= "no_dot_erlang" then name = of end
    end
  end
  if not name then return nil, ("%s has no .rel file: say the node's name before the command"):format(folder), "badarg" end
  if name:find("@", 1, true) then return name end
  local how = assigned(script, "RELEASE_DISTRIBUTION") or set "RELEASE_DISTRIBUTION" or "sname"
  local host = local_release.hostname()
  if how ~= "sname" or not host then
    return nil, ("the node %s has a long name, and %s does not say its host: say the node's name before the command"):format(name,
      path), "badarg"
  end
  return ("%s@%s"):format(name, host:match "^[^.]+")
end

return local_release
