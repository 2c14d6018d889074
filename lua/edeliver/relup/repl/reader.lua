--- Where the REPL's lines come from: readline, with history and completion, where it is installed; else plain reading.
--
-- @module edeliver.relup.repl.reader

local terminal = require "term"

local reader = {}

local KEPT = 2000 -- lines of history

local function quote(word) return "'" .. word:gsub("'", "'\\''") .. "'" end

local function history_file()
  local state, home = os.getenv "XDG_STATE_HOME", os.getenv "HOME"
  local base = state and state ~= "" and state or home and home .. "/.local/state"
  if not base then return nil end
  local folder = base .. "/edeliver-relup"
  if not os.execute(("mkdir -p -m 700 %s 2>/dev/null"):format(quote(folder))) then return nil end
  return folder .. "/history"
end

local function plain()
  return {
    read = function(prompt)
      io.write(prompt)
      io.flush()
      return io.read "l"
    end,
    remember = function() end,
    close = function() end,
  }
end

local function with_readline(readline, completer)
  local path = history_file()
  readline.set_options { auto_add = false, histfile = path or "", keeplines = KEPT, completion = true }
  readline.set_readline_name "edeliver-relup"
  readline.set_completion_append_character ""
  readline.set_complete_function(function(line, from, to)
    -- An error in here must not reach the line editor.
    local done, matches = pcall(completer.matches, completer, line:sub(1, to), from)
    return done and matches or {}
  end)
  return {
    read = readline.readline,
    -- A line that may hold a cookie is kept nowhere.
    remember = function(line)
      if #line > 1 and not line:lower():find "cookie" then readline.add_history(line) end
    end,
    close = function()
      if path then readline.save_history() end
    end,
  }
end

--- Makes a reader: `read(prompt)` gives a line, or nil at the end; `remember(line)`; `close()`.
-- @param completer see `edeliver.relup.repl.complete`
function reader.new(completer)
  if not terminal.isatty(io.stdin) then return plain() end
  local found, readline = pcall(require, "readline")
  if not found then return plain() end
  return with_readline(readline, completer)
end

return reader
