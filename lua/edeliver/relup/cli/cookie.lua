--- Where the cookie comes from: a file that is named, an environment variable, a prompt, a release folder on this machine, or
-- ~/.erlang.cookie.
--
-- Never from an argument, which `ps` would show; never into a message. A file that is somebody else's, or that
-- others can use, is refused.
--
-- @module edeliver.relup.cli.cookie

local core = require "edeliver.relup.core"
local local_release = require "edeliver.relup.cli.local_release"

local cookie = {}

--- The environment variable that may hold the cookie.
cookie.VARIABLE = "EDELIVER_RELUP_COOKIE"

local MAX = 255 -- bytes

-- What a shell command prints; nil where it fails.
local function output_of(command)
  local pipe = io.popen(command, "r")
  if not pipe then return nil end
  local text = pipe:read "a"
  return pipe:close() and text or nil
end

-- Erlang takes the file's bytes as they are, and so as Latin-1; what is given to the core is UTF-8.
local function from_latin1(bytes)
  return (bytes:gsub("[\x80-\xff]", function(byte) return utf8.char(byte:byte()) end))
end

local function read(path)
  local file <close>, message, code = core.open_private(path)
  if not file then
    return nil, "no cookie: " .. message, (code == "not_private" or code == "not_plain") and "cookie_file" or "auth"
  end
  local line = file:read "l"
  line = line and line:gsub("[\r\n]+$", "") or ""
  if line == "" or #line > MAX then
    return nil, ("no cookie: the first line of %s is empty or too long"):format(path), "auth"
  end
  return from_latin1(line)
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
-- @tparam table args `cookie_file`, `ask_cookie` (boolean), `release` (a folder)
-- @treturn[1] string|boolean the cookie; false where nothing is said, so that it is the user's own
-- @return[1] what has to be said of it, or nil
-- @return[2] nil, message, code
function cookie.find(args)
  if args.ask_cookie then return ask() end
  if args.cookie_file then return read(args.cookie_file) end
  local given = os.getenv(cookie.VARIABLE)
  if given and given ~= "" then return given end
  if args.release then return local_release.cookie(args.release) end
  given = os.getenv "RELEASE_COOKIE"
  return given ~= "" and given or false
end

return cookie
