--- Where the cookie comes from: a file that is named, an environment variable, a prompt, or ~/.erlang.cookie.
--
-- Never from an argument, which `ps` would show; never into a message. A file that others can read is refused.
--
-- @module edeliver.relup.cli.cookie

local cookie = {}

--- The environment variable that may hold the cookie.
cookie.VARIABLE = "EDELIVER_RELUP_COOKIE"

local MAX = 255 -- bytes

local function quote(word) return "'" .. word:gsub("'", "'\\''") .. "'" end

-- What a shell command prints; nil where it fails.
local function output_of(command)
  local pipe = io.popen(command, "r")
  if not pipe then return nil end
  local text = pipe:read "a"
  return pipe:close() and text or nil
end

-- Whether anybody but its owner may do anything with a file; nil where there is none.
local function is_open_to_others(path)
  local found = output_of(("find -L %s -prune -perm /077 2>/dev/null"):format(quote(path:find "^[-(!]" and "./" .. path or path)))
  if not found then return nil end
  return found ~= ""
end

local function exists(path)
  local file = io.open(path, "rb")
  if file then file:close() end
  return file ~= nil
end

local function read(path)
  local file, message = io.open(path, "rb")
  if not file then return nil, "no cookie: " .. message, "auth" end
  local line = file:read "l"
  file:close()
  if is_open_to_others(path) then
    return nil, ("the cookie file %s can be read or changed by others: chmod 600 it"):format(path), "cookie_file"
  end
  line = line and line:gsub("[\r\n]+$", "") or ""
  if line == "" or #line > MAX then
    return nil, ("no cookie: the first line of %s is empty or too long"):format(path), "auth"
  end
  return line
end

-- A shell of its own reads the line, so that a Ctrl-C leaves the terminal as it was.
local PROMPT = [[
saved=$(stty -g </dev/tty) || exit 1
trap 'stty "$saved" </dev/tty; echo >/dev/tty' EXIT
trap 'exit 1' INT TERM HUP
printf '%s' "Cookie: " >/dev/tty
stty -echo </dev/tty
IFS= read -r line </dev/tty || exit 1
printf '%s' "$line"
]]

local function ask()
  local line = output_of(PROMPT .. " 2>/dev/null")
  if not line or line == "" then return nil, "no cookie was given at the prompt", "auth" end
  return line
end

--- Finds the cookie.
-- @tparam table args `cookie_file`, `ask_cookie` (boolean)
-- @treturn[1] string
-- @return[2] nil, message, code
function cookie.find(args)
  if args.ask_cookie then return ask() end
  if args.cookie_file then return read(args.cookie_file) end
  local given = os.getenv(cookie.VARIABLE)
  if given and given ~= "" then return given end
  local home = os.getenv "HOME"
  local path = home and home .. "/.erlang.cookie"
  if path and exists(path) then return read(path) end
  return nil, ("no cookie: there is no %s; give --cookie-file FILE or --ask-cookie, or set %s"):format(
    path or "~/.erlang.cookie (HOME is not set)", cookie.VARIABLE), "auth"
end

return cookie
