--- Where the REPL's lines come from: readline, with history and completion, where it is installed; else plain reading.
--
-- @module edeliver.relup.repl.reader

local core = require "edeliver.relup.core"
local journal = require "edeliver.relup.undo.journal"
local secrets = require "edeliver.relup.repl.secrets"
local terminal = require "term"

local reader = {}

local KEPT = 2000 -- lines of history

-- A file that is nobody else's, in the folder where the journals lie. Nil, and why not.
local function history_file()
  local folder, message = journal.folder()
  if not folder then return nil, message end
  local made
  made, message = core.private_folder(folder)
  if not made then return nil, message end
  local path = folder .. "/history"
  local file
  file, message = core.open_private(path, "a")
  if not file then return nil, message end
  file:close()
  return path
end

local function no_more() end

-- Without readline. At a terminal a line comes whole, and a Ctrl-C while nothing is there is an error at once.
local function plain(is_terminal)
  return {
    is_terminal = is_terminal,
    read = function(prompt)
      -- What is piped in has no use for prompts.
      if is_terminal then io.write(prompt) end
      io.flush()
      while is_terminal and not core.await_input() do end
      return io.read "l"
    end,
    remember = no_more,
    close = no_more,
  }
end

local function terminal_settings()
  local pipe = io.popen("stty -g 2>/dev/null </dev/tty", "r")
  local settings = pipe and pipe:read "l"
  if pipe then pipe:close() end
  return settings
end

local function set_terminal(words) os.execute(("stty %s 2>/dev/null </dev/tty"):format(words)) end

-- While a line is edited, Ctrl-C is no signal but the key that drops what was typed: readline takes over the terminal's own
-- key for that.
local function edit(readline, settings, prompt)
  local restoring <close> = setmetatable({}, { -- luacheck: ignore restoring
    __close = function()
      if settings then set_terminal(settings) end
    end,
  })
  if settings then set_terminal "intr undef kill ^C" end
  return readline.readline(prompt)
end

local function with_readline(readline, completer, known_secrets)
  local without = plain(true)
  local path, message = history_file()
  if not path then print("No history is kept: " .. message) end
  local settings = terminal_settings()
  readline.set_options { auto_add = false, histfile = path or "", keeplines = KEPT, completion = true }
  readline.set_readline_name "edeliver-relup"
  readline.set_complete_function(function(line, from, to)
    -- Nothing is to follow a completed word; readline forgets that each time. And no error may reach it.
    readline.set_completion_append_character ""
    local done, matches = pcall(completer.matches, completer, line:sub(1, to), from)
    return done and matches or {}
  end)
  return {
    is_terminal = true,
    -- Readline keeps a Ctrl-C to itself; in the middle of a statement it has to drop all of it.
    read = function(prompt, continues)
      if continues then return without.read(prompt) end
      return edit(readline, settings, prompt)
    end,
    remember = function(line)
      if #line > 1 and not secrets.may_be_in(line, known_secrets()) then readline.add_history(line) end
    end,
    close = function()
      if path then readline.save_history() end
    end,
  }
end

--- Makes a reader: `read(prompt, continues)` gives a line, or nil at the end; `remember(line)`; `close()`; `is_terminal`.
-- @param completer see `edeliver.relup.repl.complete`
-- @tparam function known_secrets gives a list of strings; a line that has one in it is kept nowhere
function reader.new(completer, known_secrets)
  if not terminal.isatty(io.stdin) then return plain(false) end
  local found, readline = pcall(require, "readline")
  if not found then return plain(true) end
  return with_readline(readline, completer, known_secrets)
end

return reader
