--- The text form of Erlang terms: relup, appup, .rel, .app and config files, read and written.
--
-- Reads what `file:consult/1` reads, and writes what it reads back equal. Knows no files: text in, text out.
--
-- @module edeliver.relup.consult

local lpeg = require "lpeg"
local measure = require "edeliver.relup.consult.measure"
local parser = require "edeliver.relup.consult.parser"
local scanner = require "edeliver.relup.consult.scanner"
local writer = require "edeliver.relup.consult.writer"

local consult = {}

-- epp looks for the encoding in so many bytes.
local MAX_HEAD = 512

-- Whether the first `coding:` of a comment in the first two lines says Latin-1, as epp reads it: there may be terms before the
-- comment, and an encoding that epp does not know counts for UTF-8.
local function is_latin_1(text)
  local head = text:sub(1, MAX_HEAD)
  for line in (head:match "^[^\n]*\n?[^\n]*"):gmatch "[^\n]+" do
    local name, stop = line:match "%%.-coding *[:=] *([%w-]*)()"
    if name then
      -- A name that is cut off counts for nothing.
      local is_cut = #text >= MAX_HEAD and stop == #line + 1 and head:sub(-#line) == line
      return not is_cut and (name:lower() .. "-"):find "^latin%-1%-" ~= nil
    end
  end
  return false
end

local function line_and_column(text, position)
  local line, start = 1, 1
  for newline in text:sub(1, position - 1):gmatch "()\n" do line, start = line + 1, newline + 1 end
  local before = text:sub(start, position - 1)
  return line, (utf8.len(before) or #before) + 1
end

local function refuse(text, position, message)
  local line, column = line_and_column(text, position)
  return nil, ("line %d, column %d: %s"):format(line, column, message), "syntax"
end

--- A file's text in UTF-8.
-- @string text the file's bytes
-- @treturn string the same characters in UTF-8, where a comment says that they are in Latin-1
-- @treturn boolean whether they were
function consult.to_utf8(text)
  if not is_latin_1(text) then return text, false end
  return text:gsub("[\128-\255]", function(byte) return utf8.char(byte:byte()) end), true
end

--- Parses terms, each ended by a full stop.
-- @string text the file's bytes; UTF-8 unless a comment in the first two lines says `coding: latin-1`
-- @treturn[1] table the list of terms
-- @treturn[2] nil
-- @treturn[2] string what is wrong, with line and column
-- @treturn[2] string "syntax"
function consult.parse(text)
  text = consult.to_utf8(text)
  local valid, position = utf8.len(text)
  if not valid then return refuse(text, position, "invalid UTF-8") end
  local done, result = pcall(parser.parse, text)
  if done then return result end
  if type(result) ~= "table" or not result.position then error(result, 0) end
  return refuse(text, lpeg.match(scanner.skip, text, result.position), result.message)
end

--- Writes terms as `io:format("~tp.~n", [Term])` does: what systools wrote comes out as it was but for what changed, and
-- an instruction of a relup begins a line of its own. Raises for pids, ports, references and funs, which no text spells.
-- @param terms a list of terms
-- @string[opt] header comment lines to begin with; by default `%% coding: utf-8` where the text is not plain ASCII
-- @treturn string UTF-8
function consult.write(terms, header)
  local done, text = pcall(writer.write, terms)
  measure.forget()
  if not done then
    error(type(text) == "table" and text.refused or text, type(text) == "table" and 2 or 0)
  end
  if not header then header = text:find "[\128-\255]" and "%% coding: utf-8\n" or "" end
  return header .. text
end

return consult
