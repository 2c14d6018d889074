--- A terminal with a person at it: tmux on a socket of its own, which types keys and reads the screen.

local process = require "support.process"

local terminal = {}
local methods = {}
local metatable = { __index = methods, __close = function(self) self:stop() end, __gc = function(self) self:stop() end }

local function tmux(self, ...)
  local words = {}
  for i, word in ipairs { ... } do words[i] = process.quote(word) end
  return process.output(("env -u TMUX tmux -S %s/tmux -f /dev/null %s 2>&1"):format(process.quote(self.folder),
    table.concat(words, " ")))
end

--- Opens a terminal of 120 by 40 with a shell command running in it; it stays open when the command has ended.
-- @string command
-- @tparam[opt=120] integer columns
function terminal.open(command, columns)
  local self = setmetatable({ folder = process.temporary_folder() }, metatable)
  -- What the command leaves as its exit code can be read afterwards. A Ctrl-C is for the command alone.
  local script = assert(io.open(self.folder .. "/script", "w"))
  script:write(("trap : INT\n( %s )\necho $? > %s/code\nsleep 1000\n"):format(command, self.folder))
  script:close()
  tmux(self, "new-session", "-d", "-x", columns or "120", "-y", "40", "exec sh " .. self.folder .. "/script")
  return self
end

--- The text on the screen, without the blanks behind it.
function methods:screen()
  local text = tmux(self, "capture-pane", "-p", "-S", "-500")
  return (text:gsub("[ \t]+\n", "\n"):gsub("%s+$", ""))
end

--- The same, with the escape sequences of colours.
function methods:colored_screen() return (tmux(self, "capture-pane", "-p", "-e", "-S", "-500")) end

--- Types text, then the keys that are named: `"Enter"`, `"Tab"`, `"C-c"`.
function methods:type(text, ...)
  if text ~= "" then tmux(self, "send-keys", "-l", text) end
  for _, key in ipairs { ... } do tmux(self, "send-keys", key) end
end

local LONG = 30000 -- ms: only what fails takes that long

--- Waits until the screen shows a pattern; raises with the screen when it doesn't in time.
function methods:wait_for(pattern, timeout)
  local screen
  local seen = process.wait_until(function()
    screen = self:screen()
    return screen:match(pattern)
  end, timeout or LONG)
  if not seen then error(("the terminal never showed %q:\n%s"):format(pattern, screen), 2) end
  return seen
end

--- Types the beginning of a name, and Tab until it is completed: a node that is busy completes nothing at first.
function methods:complete(text, pattern)
  self:type(text)
  local screen
  local seen = process.wait_until(function()
    self:type("", "Tab")
    return process.wait_until(function()
      screen = self:screen()
      return screen:match(pattern)
    end, 1500)
  end, LONG)
  if not seen then error(("Tab never completed %q:\n%s"):format(pattern, screen), 2) end
end

--- Gives up the line that is typed, and waits for the prompt: a Ctrl-C takes what was typed behind it with it.
function methods:cancel(prompt)
  self:type("", "C-c")
  self:wait_for("\n" .. prompt .. "$")
end

--- The exit code of the command, once it has ended.
function methods:exit_code(timeout)
  return process.wait_until(function() return tonumber(process.read_file(self.folder .. "/code") or "") end, timeout or LONG)
end

--- Ends whatever runs in it. May be called twice.
function methods:stop()
  if not self.folder then return end
  tmux(self, "kill-server")
  process.remove_folder(self.folder)
  self.folder = nil
end

return terminal
