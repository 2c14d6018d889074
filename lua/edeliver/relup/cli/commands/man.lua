--- `man`: the manual page, made from what the parser knows.
--
-- @module edeliver.relup.cli.commands.man

local exit = require "edeliver.relup.cli.exit"

local man = {
  summary = "Print the manual page.",
  examples = { "edeliver-relup man > ~/.local/share/man/man1/edeliver-relup.1", "edeliver-relup man | man -l -" },
}

-- A text in roff: nothing of it is a request or an escape.
local function roff(text)
  return (text:gsub("\\", "\\e"):gsub("%-", "\\-"):gsub("\n([.'])", "\n\\&%1"):gsub("^([.'])", "\\&%1"))
end

local FILES = {
  { "~/.erlang.cookie", "The cookie, where nothing else says it. Nobody else may be able to read it." },
  {
    "~/.local/state/edeliver-relup/",
    "Journals of upgrades, for `recover` and `history`, a year of those that ended well; the lines typed at `repl`.\n"
      .. "XDG_STATE_HOME moves it.",
  },
}

local ENVIRONMENT = {
  { "EDELIVER_RELUP_COOKIE", "The cookie." },
  { "EDELIVER_RELUP_KEY_PASSWORD", "The password of the key that --tls-key names." },
  { "EDELIVER_RELUP_SSH", "The program to be run for --ssh, in place of `ssh`." },
  { "EDELIVER_RELUP_TLS", "`required`: no connection is made in the clear." },
  { "ERL_EPMD_PORT", "The port of epmd." },
  { "NO_COLOR", "If it is set and not empty, nothing is coloured, and nothing moves." },
  { "CI", "If it is set, nothing moves." },
}

local EXIT = {
  { "0", "Done." },
  { "1", "Refused by a check, or by you at the question: nothing was changed." },
  { "2", "Failed; what was done has been undone. Also where the node cannot be reached, or a file cannot be read." },
  { "3", "Failed, and something is, or may be, still suspended: the message says what." },
  { "4", "Failed, and the node restarted: all connections that it had are gone." },
  { "64", "The command line is wrong." },
}

local function add_pairs(lines, title, entries)
  lines[#lines + 1] = ".SH " .. title
  for _, entry in ipairs(entries) do
    lines[#lines + 1] = (".TP\n.B %s\n%s"):format(roff(entry[1]), roff(entry[2]))
  end
end

-- Help as the parser prints it, kept in its lines.
local function add_help(lines, title, text)
  lines[#lines + 1] = (".SS %s\n.nf\n%s\n.fi"):format(roff(title), roff(text))
end

--- Makes the page.
-- @treturn string roff
function man.page()
  local parser = require "edeliver.relup.cli.parser"
  local root = parser.build()
  local lines = {
    '.TH EDELIVER\\-RELUP 1 "" "edeliver\\-relup" "User Commands"', ".SH NAME",
    "edeliver\\-relup \\- hot upgrades of live Erlang and Elixir nodes, with their websockets kept",
    ".SH SYNOPSIS", ".nf", roff(root:get_usage():gsub("^Usage: ", ""):gsub("\n%s+", "\n")), ".fi",
    ".SH DESCRIPTION", roff(root._description), ".SH COMMANDS",
  }
  for _, command in ipairs(root._commands) do add_help(lines, command._name, command:get_help()) end
  add_pairs(lines, "ENVIRONMENT", ENVIRONMENT)
  add_pairs(lines, "FILES", FILES)
  add_pairs(lines, "EXIT STATUS", EXIT)
  return table.concat(lines, "\n") .. "\n"
end

--- Runs the command.
-- @return exit code
function man.command(args)
  local page = man.page()
  args.output:give { page = page }
  args.output:line((page:gsub("\n$", "")))
  return exit.OK
end

return man
