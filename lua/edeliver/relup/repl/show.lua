--- How the REPL prints values: terms as Erlang does, pid sets in short, tables of ours readable.
--
-- @module edeliver.relup.repl.show

local output = require "edeliver.relup.cli.output"
local term = require "edeliver.relup.term"

local show = {}

local MANY, DEEP = 30, 4 -- entries of a table; tables in tables
local LONG = 4000 -- characters of a value
local EXCEPTIONS = { error = true, exit = true, throw = true }
local SECRET = { cookie = true, password = true } -- what the options of a connection may hold

local function sorted_keys(value)
  local keys = {}
  for key in pairs(value) do keys[#keys + 1] = key end
  table.sort(keys, function(a, b)
    if type(a) == type(b) and (type(a) == "number" or type(a) == "string") then return a < b end
    return type(a) < type(b) or (type(a) == type(b) and tostring(a) < tostring(b))
  end)
  return keys
end

local function entry(key, text, position)
  if key == position then return text end
  if type(key) == "string" and key:find "^[%a_][%w_]*$" then return key .. " = " .. text end
  if type(key) == "string" then return ('["%s"] = %s'):format(output.escape(key), text) end
  return ("[%s] = %s"):format(show.value(key), text)
end

-- `whole` is nil, or the tables that this one is in, where nothing is cut off: a table may be in itself.
local function plain_table(value, depth, whole)
  if depth >= DEEP and not whole or whole and whole[value] then return "{ ... }" end
  if whole then whole[value] = true end
  local parts, keys = {}, sorted_keys(value)
  for i = 1, whole and #keys or math.min(#keys, MANY) do
    local text = SECRET[keys[i]] and "(not shown)" or show.value(value[keys[i]], depth + 1, whole)
    parts[i] = entry(keys[i], text, i)
  end
  if whole then whole[value] = nil end
  if #parts < #keys then parts[#parts + 1] = ("... %d more: show(x) prints all of x"):format(#keys - MANY) end
  if #parts == 0 then return "{}" end
  local line = "{ " .. table.concat(parts, ", ") .. " }"
  if #line <= 100 and not line:find "\n" then return line end
  local indent = ("  "):rep(depth + 1)
  return ("{\n%s%s\n%s}"):format(indent, table.concat(parts, ",\n" .. indent), ("  "):rep(depth))
end

--- A value as text. Safe to print: what is in it is escaped.
-- @param value anything
-- @tparam[opt=0] integer depth how deep in tables it is
-- @tparam[opt] boolean whole nothing is cut off
-- @treturn string
function show.value(value, depth, whole)
  if value == nil then return "nil" end
  if type(value) == "table" and getmetatable(value) == nil then
    return plain_table(value, depth or 0, whole == true and {} or whole or nil)
  end
  local text = term.kind(value) and term.format(value) or tostring(value)
  if whole or #text <= LONG then return output.escape(text) end
  return ("%s ... %d bytes more: show(x) prints all of x"):format(output.escape(text:sub(1, utf8.offset(text, 0, LONG) - 1)),
    #text - LONG)
end

--- A text, made safe to print.
function show.plain(text) return output.escape(text) end

-- "error: badarg in lists:reverse/1", where a called function raised.
local function what_was_raised(results)
  local called = EXCEPTIONS[results[3]] and results[2]:match "^(%S+/%d+) failed on "
  return called and results[4] ~= nil and output.escape(("%s: %s in %s"):format(results[3], term.format(results[4]), called))
end

--- What an expression gave: nothing for nothing, the message where it was refused.
-- @param results a packed table with `n`
-- @treturn ?string
-- @treturn ?boolean whether it was refused
function show.results(results)
  if results.n == 0 or (results.n == 1 and results[1] == nil) then return nil end
  if results[1] == nil and type(results[2]) == "string" then
    local text, exception = output.escape(results[2]), what_was_raised(results)
    if exception then return exception, true end
    return type(results[3]) == "string" and ("refused: %s (%s)"):format(text, results[3]) or "refused: " .. text, true
  end
  -- What follows a value and is nil is an error that did not happen.
  local count = results.n
  while count > 1 and results[count] == nil do count = count - 1 end
  local parts = {}
  for i = 1, count do parts[i] = show.value(results[i]) end
  return table.concat(parts, "\n")
end

return show
