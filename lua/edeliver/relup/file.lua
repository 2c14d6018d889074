--- Relup files: read, changed, written back.
--
-- The file is replaced at once or not at all, keeps mode and owner, and its old content stays beside it as a backup. A file
-- that cannot be parsed is left alone, and so is one that has changed since it was read.
--
-- @module edeliver.relup.file

local consult = require "edeliver.relup.consult"
local core = require "edeliver.relup.core"
local modification = require "edeliver.relup.modification"
local relup_of = require "edeliver.relup.script.relup"
local term = require "edeliver.relup.term"

local file = {}

local MAX_BACKUPS = 100

local function read_bytes(path)
  local handle <close>, message = io.open(path, "rb")
  if not handle then return nil, message, "system" end
  local text, problem = handle:read "a"
  if not text then return nil, ("%s: %s"):format(path, problem), "system" end
  return text
end

-- The comment lines that a file begins with, in UTF-8, kept when it is written again; without those that call it Latin-1.
local function header_of(bytes)
  local header = {}
  local text, was_latin_1 = consult.to_utf8(bytes)
  for line in text:gmatch "[^\n]*\n" do
    if not line:find "^%s*%%" and not line:find "^%s*$" then break end
    if not (was_latin_1 and line:lower():find "coding *[:=] *latin%-1") then header[#header + 1] = line end
  end
  return table.concat(header)
end

--- Reads a file of terms.
-- @treturn[1] table `terms`, `path`, `text` (the bytes read) and `header` (the comment lines that it begins with)
-- @treturn[2] nil
-- @treturn[2] string message, with path, line and column
-- @treturn[2] string "system" or "syntax"
function file.read(path)
  local text, message, code = read_bytes(path)
  if not text then return nil, message, code end
  local terms
  terms, message, code = consult.parse(text)
  if not terms then return nil, ("%s: %s"):format(path, message), code end
  return { path = path, text = text, terms = terms, header = header_of(text) }
end

--- Reads a relup file.
-- @treturn[1] table as `read` gives it, and `relup` (the term), `version`, `entries`: a list of `{ direction = "up" or "down",
-- version =, title =, instructions =, restart = the instruction that restarts the emulator }`
-- @treturn[2] nil
-- @treturn[2] string message
-- @treturn[2] string "system" or "syntax"
function file.read_relup(path)
  local read, message, code = file.read(path)
  if not read then return nil, message, code end
  local entries
  if #read.terms == 1 then entries, message = relup_of.entries(read.terms[1]) else message = relup_of.SHAPE end
  if not entries then return nil, ("%s: %s"):format(path, message), "syntax" end
  read.relup, read.version, read.entries = read.terms[1], relup_of.version(read.terms[1][1]), entries
  return read
end

-- The first name that is free: relup.bak, relup.bak.1, ... What was kept once is never overwritten.
local function replace(path, text, expected)
  for number = 0, MAX_BACKUPS do
    local backup = path .. ".bak" .. (number > 0 and "." .. number or "")
    local done, message, code = core.replace_file(path, text, backup, expected)
    if done then return backup end
    if code ~= "exists" then return nil, message, code end
  end
  return nil, ("%s has %d backups already"):format(path, MAX_BACKUPS + 1), "exists"
end

--- The text of terms as `write` writes it: with the comments that the file began with.
-- @param read what `file.read` gave
-- @param terms the new terms
-- @treturn string UTF-8
function file.text(read, terms) return consult.write(terms, read.header ~= "" and read.header or nil) end

--- Writes terms in place of those that were read. What would change nothing is not written.
-- @param read what `file.read` gave
-- @param terms the new terms
-- @treturn[1] string|boolean the path of the backup; false where there was nothing to change
-- @treturn[2] nil
-- @treturn[2] string message
-- @treturn[2] string "changed", "exists" or "system"
function file.write(read, terms)
  if term.equal(read.terms, terms) then return false end
  return replace(read.path, file.text(read, terms), read.text)
end

--- Modifies a relup file, every entry of it but those that restart the emulator.
-- @string path
-- @param config as the instructions take it: `name`, `runtime`
-- @param[opt] chosen a modification, by default what `modification.choose` gives; or a function from the relup to a new one
-- @treturn[1] string|boolean the path of the backup; false where there was nothing to change
-- @treturn[2] nil
-- @treturn[2] string message
-- @treturn[2] string "syntax", "changed", "exists" or "system"
function file.modify(path, config, chosen)
  local read, message, code = file.read_relup(path)
  if not read then return nil, message, code end
  local change = type(chosen) == "function" and chosen
    or function(relup) return modification.apply(relup, config, chosen) end
  return file.write(read, { (change(read.relup)) })
end

return file
