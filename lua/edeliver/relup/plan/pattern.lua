--- Versions in an .appup that are patterns: regular expressions, of which this reads what people and OTP write there.
--
-- Characters, `.`, classes, groups, alternatives, `* + ? {m,n}`, `^ $`, `\d \w \s` and escaped characters. What it does not read
-- it refuses: nothing is guessed.
--
-- @module edeliver.relup.plan.pattern

local pattern = {}

local CLASSES = { d = "%d", w = "[%w_]", s = "%s", D = "%D", W = "[^%w_]", S = "%S" }

-- A node matches at a position and calls `next` with where it came to; it gives what `next` gave first that was not nil.

local function refuse(reader, what) error({ problem = ("%s at character %d is not read"):format(what, reader.at) }, 0) end

local function one(test)
  return function(text, at, following)
    local character = text:sub(at, at)
    return character ~= "" and test(character) and following(at + 1) or nil
  end
end

local function escaped(reader)
  local character = reader.text:sub(reader.at, reader.at)
  reader.at = reader.at + 1
  local class = CLASSES[character]
  if class then return function(c) return c:find("^" .. class) ~= nil end end
  if character == "" or character:find "%w" then refuse(reader, "an escape") end
  return function(c) return c == character end
end

local function read_range(reader, first, tests)
  local last = reader.text:match("^%-([^%]])", reader.at)
  if not last then
    tests[#tests + 1] = function(c) return c == first end
    return
  end
  reader.at = reader.at + 2
  tests[#tests + 1] = function(c) return c >= first and c <= last end
end

-- Behind "[".
local function read_class(reader)
  local negated = reader.text:sub(reader.at, reader.at) == "^"
  if negated then reader.at = reader.at + 1 end
  local tests = {}
  repeat
    local character = reader.text:sub(reader.at, reader.at)
    reader.at = reader.at + 1
    if character == "" or character == "[" then refuse(reader, "a class") end
    if character == "\\" then
      tests[#tests + 1] = escaped(reader)
    else
      read_range(reader, character, tests)
    end
  until reader.text:sub(reader.at, reader.at) == "]"
  reader.at = reader.at + 1
  return one(function(c)
    for _, test in ipairs(tests) do
      if test(c) then return not negated end
    end
    return negated
  end)
end

local read_alternatives

-- Behind "(".
local function read_group(reader)
  if reader.text:sub(reader.at, reader.at) == "?" then
    if reader.text:sub(reader.at, reader.at + 1) ~= "?:" then refuse(reader, "a group") end
    reader.at = reader.at + 2
  end
  local inner = read_alternatives(reader)
  if reader.text:sub(reader.at, reader.at) ~= ")" then refuse(reader, "a group") end
  reader.at = reader.at + 1
  return inner
end

local READERS = {
  ["["] = read_class,
  ["("] = read_group,
  ["\\"] = function(reader) return one(escaped(reader)) end,
  ["."] = function() return one(function(c) return c ~= "\n" end) end,
  ["^"] = function() return function(_, at, following) return at == 1 and following(at) or nil end end,
  ["$"] = function() return function(text, at, following) return at == #text + 1 and following(at) or nil end end,
}
for character in ("*+?{}"):gmatch "." do READERS[character] = function(reader) refuse(reader, character) end end

local function read_atom(reader)
  local character = reader.text:sub(reader.at, reader.at)
  reader.at = reader.at + 1
  local read = READERS[character]
  if read then return read(reader) end
  return one(function(c) return c == character end)
end

local QUANTIFIERS = { ["*"] = { 0, math.huge }, ["+"] = { 1, math.huge }, ["?"] = { 0, 1 } }

local function read_quantifier(reader)
  local known = QUANTIFIERS[reader.text:sub(reader.at, reader.at)]
  if known then
    reader.at = reader.at + 1
    return known[1], known[2]
  end
  local least, comma, most, stop = reader.text:match("^{(%d+)(,?)(%d*)}()", reader.at)
  if not least then return 1, 1 end
  reader.at = stop
  if comma == "" then return tonumber(least), tonumber(least) end
  return tonumber(least), most == "" and math.huge or tonumber(most)
end

-- Greedy, as many as there are at first.
local function repeated(node, least, most)
  local function from(count, text, at, following)
    if count < most then
      local found = node(text, at, function(after)
        if after == at then return nil end
        return from(count + 1, text, after, following)
      end)
      if found then return found end
    end
    return count >= least and following(at) or nil
  end
  return function(text, at, following) return from(0, text, at, following) end
end

local function read_sequence(reader)
  local nodes = {}
  while reader.at <= #reader.text and not reader.text:find("^[|)]", reader.at) do
    local node = read_atom(reader)
    local least, most = read_quantifier(reader)
    if reader.text:find("^[?+]", reader.at) then refuse(reader, "a quantifier of another kind") end
    nodes[#nodes + 1] = (least ~= 1 or most ~= 1) and repeated(node, least, most) or node
  end
  return function(text, at, following)
    local function from(index, position)
      if index > #nodes then return following(position) end
      return nodes[index](text, position, function(after) return from(index + 1, after) end)
    end
    return from(1, at)
  end
end

function read_alternatives(reader)
  local ways = { read_sequence(reader) }
  while reader.text:sub(reader.at, reader.at) == "|" do
    reader.at = reader.at + 1
    ways[#ways + 1] = read_sequence(reader)
  end
  return function(text, at, following)
    for _, way in ipairs(ways) do
      local found = way(text, at, following)
      if found then return found end
    end
    return nil
  end
end

--- Whether what the pattern finds first in a version is all of it, as systools asks.
-- @string expression
-- @string version
-- @return[1] boolean
-- @return[2] nil, message, "not_supported"
function pattern.matches(expression, version)
  local reader = { text = expression, at = 1 }
  local done, node = pcall(read_alternatives, reader)
  if done and reader.at <= #expression then done, node = false, { problem = "a ) too many" } end
  if not done then
    if type(node) ~= "table" then error(node, 0) end
    return nil, ("the pattern %q: %s"):format(expression, node.problem), "not_supported"
  end
  for at = 1, #version + 1 do
    local stop = node(version, at, function(after) return after end)
    if stop then return at == 1 and stop == #version + 1 end
  end
  return false
end

return pattern
