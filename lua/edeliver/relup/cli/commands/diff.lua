--- `diff`: what differs between two relup files, instruction by instruction.
--
-- @module edeliver.relup.cli.commands.diff

local file = require "edeliver.relup.file"
local exit = require "edeliver.relup.cli.exit"
local output = require "edeliver.relup.cli.output"
local relup_of = require "edeliver.relup.script.relup"
local term = require "edeliver.relup.term"

local diff = {
  summary = "Show what differs between two relup files.",
  description = "Exit code 1 where they differ.",
  examples = { "edeliver-relup diff relup.bak relup" },
}

function diff.add_to_parser(parser)
  parser:argument("a", "The one relup file."):argname "<a>"
  parser:argument("b", "The other."):argname "<b>"
end

local function texts(entry)
  local lines = {}
  for i, instruction in ipairs(entry and entry.instructions or {}) do lines[i] = term.format(instruction) end
  return lines
end

-- How long the longest common part of a from i and b from j is, for all i and j.
local function common_lengths(a, b)
  local length = {}
  for i = #a + 1, 1, -1 do
    length[i] = {}
    for j = #b + 1, 1, -1 do
      if i > #a or j > #b then
        length[i][j] = 0
      elseif a[i] == b[j] then
        length[i][j] = length[i + 1][j + 1] + 1
      else
        length[i][j] = math.max(length[i + 1][j], length[i][j + 1])
      end
    end
  end
  return length
end

--- The lines of both, each with "-", "+" or " ".
-- @tparam table a list of texts
-- @tparam table b list of texts
-- @return a list of `{ sign =, text = }`
function diff.lines(a, b)
  local length, lines, i, j = common_lengths(a, b), {}, 1, 1
  local function add(sign, text) lines[#lines + 1] = { sign = sign, text = text } end
  while i <= #a or j <= #b do
    if i <= #a and j <= #b and a[i] == b[j] then
      add(" ", a[i])
      i, j = i + 1, j + 1
    elseif j > #b or (i <= #a and length[i + 1][j] >= length[i][j + 1]) then
      add("-", a[i])
      i = i + 1
    else
      add("+", b[j])
      j = j + 1
    end
  end
  return lines
end

-- The entries of both files, in order, each once.
local function pairs_of(a, b)
  local found = {}
  for _, entry in ipairs(a.entries) do
    found[#found + 1] = { title = entry.title, a = entry, b = relup_of.find(b.entries, entry.direction, entry.version) }
  end
  for _, entry in ipairs(b.entries) do
    local is_new = not relup_of.find(a.entries, entry.direction, entry.version)
    if is_new then found[#found + 1] = { title = entry.title, b = entry } end
  end
  return found
end

local COLORS = { ["+"] = "green", ["-"] = "red" }

local function show(out, title, lines)
  local changes = output.array {}
  for _, line in ipairs(lines) do
    if line.sign ~= " " then changes[#changes + 1] = line end
  end
  if #changes > 0 then
    out:line(title, "bold")
    for _, line in ipairs(lines) do out:line(("%s %s"):format(line.sign, line.text), COLORS[line.sign]) end
  end
  return { title = title, changes = changes }
end

--- Runs the command.
-- @return exit code
function diff.command(args)
  local out = args.output
  local a, message, code = file.read_relup(args.a)
  local b
  if a then b, message, code = file.read_relup(args.b) end
  if not b then
    out:fail(message, code)
    return exit.FAILED
  end
  local entries, count = output.array {}, 0
  if a.version ~= b.version then
    count = 1
    out:line(("- version %s"):format(a.version), "red")
    out:line(("+ version %s"):format(b.version), "green")
  end
  for i, pair in ipairs(pairs_of(a, b)) do
    entries[i] = show(out, pair.title, diff.lines(texts(pair.a), texts(pair.b)))
    count = count + #entries[i].changes
  end
  out:give { versions = output.array { a.version, b.version }, entries = entries, differences = count }
  if count == 0 then out:line "No differences." end
  return count == 0 and exit.OK or exit.REFUSED
end

return diff
