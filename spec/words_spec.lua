-- The words of our messages: every text that the code can print, by its format string, and every page for operators. The list of
-- what a person at 3 a.m. should not have to read is one table.

local lpeg = require "lpeg"
local process = require "support.process"

local P, S, C, Cg, Cb, Cmt, Cp, Ct = lpeg.P, lpeg.S, lpeg.C, lpeg.Cg, lpeg.Cb, lpeg.Cmt, lpeg.Cp, lpeg.Ct

-- As Lua patterns between borders of words; a space stands for any white space.
local FORBIDDEN = {
  "whoever", "whom", "whatever", "whomever", "goes? on", "went on", "going on", "sits?", "stands?", "stood", "is told",
  "are told", "is let go", "are let go", "waited for", "so much as to", "nothing that was", "standing", "under way",
  "%%d processes", "%%d calls", "%%d websockets", "%%d requests", "%%d seconds", -- "1 process": base.count
}

-- Texts that hold one of these words and mean something else, each with its reason.
local ALLOWED = {
  ["stands for"] = "a notation that means something",
  ["stand for"] = "the same",
  ["stood still"] = "the name of a figure, stood_still_ms",
  ["stands still"] = "the same",
  ["stand still"] = "the same",
  ["standing still"] = "the same",
}

local function holds(text)
  local plain = " " .. text:lower():gsub("%s+", " ") .. " "
  for phrase in pairs(ALLOWED) do plain = plain:gsub(phrase, "") end
  for _, word in ipairs(FORBIDDEN) do
    local left = word:find "^%%%%" and "" or "%f[%a]"
    if plain:find(left .. word .. "%f[%A]") then return word end
  end
end

-- The literals of a source text, each with where it begins; those of a concatenation are joined.
local function literals_of(grammar, text) return lpeg.match(grammar, text) end

local line_end = P "\n" + -1
local function quoted(mark) return P(mark) * C((P "\\" * 1 + (1 - S(mark .. "\n"))) ^ 0) * P(mark) end
local long_open = P "[" * Cg(P "=" ^ 0, "level") * P "["
local long_close = P "]" * C(P "=" ^ 0) * P "]"
local closes = Cmt(long_close * Cb "level", function(_, _, close, open) return close == open end)
local long = long_open * C((1 - closes) ^ 0) * closes / 1

local lua_comment = P "--" * (long + (1 - line_end) ^ 0)
local lua_text = quoted '"' + quoted "'" + long
local joined = Ct(Cp() * lua_text * (S " \t\n" ^ 0 * P ".." * S " \t\n" ^ 0 * lua_text) ^ 0)
local LUA = Ct((lua_comment / 0 + joined + 1) ^ 0)

local c_comment = P "/*" * (1 - P "*/") ^ 0 * P "*/" + P "//" * (1 - line_end) ^ 0
local C_TEXT = Ct((c_comment + P "'" * (P "\\" * 1 + (1 - P "'")) ^ 1 * P "'"
  + Ct(Cp() * quoted '"' * (S " \t\n" ^ 0 * quoted '"') ^ 0) + 1) ^ 0)
local ERLANG = Ct((P "%" * (1 - line_end) ^ 0 + P "$" * P(1) + P "'" * (P "\\" * 1 + (1 - P "'")) ^ 0 * P "'"
  + Ct(Cp() * quoted '"' * (S " \t\n" ^ 0 * quoted '"') ^ 0) + 1) ^ 0)

local function read(path) return assert(process.read_file(process.root .. "/" .. path), path) end

local function files(pattern)
  local found = {}
  local listed = process.output(("cd %s && ls -d %s 2>/dev/null || true"):format(process.quote(process.root), pattern))
  for path in listed:gmatch "[^\n]+" do found[#found + 1] = path end
  return found
end

local function tree(folder, ending)
  local found = {}
  local listed = process.output(("cd %s && find %s -name '*.%s' | sort"):format(process.quote(process.root), folder, ending))
  for path in listed:gmatch "[^\n]+" do found[#found + 1] = path end
  return found
end

local function line_of(text, position) return select(2, text:sub(1, position):gsub("\n", "")) + 1 end

-- A message has a blank in it; names, patterns and keys have none.
local function check_literals(paths, grammar, found)
  local count = 0
  for _, path in ipairs(paths) do
    local text = read(path)
    for _, parts in ipairs(literals_of(grammar, text)) do
      local message = table.concat(parts, "", 2)
      if message:find "%a %a" then
        count = count + 1
        local word = holds(message)
        if word then found[#found + 1] = ("%s:%d: %q in: %s"):format(path, line_of(text, parts[1]), word, message:sub(1, 160)) end
      end
    end
  end
  return count
end

local function list(found) return "\n" .. table.concat(found, "\n") end

describe("the words", function()
  it("of every message that the code can print are those of style", function()
    local found = {}
    assert.is_true(check_literals(tree("lua", "lua"), LUA, found) > 500)
    assert.is_true(check_literals(tree("src", "c"), C_TEXT, found) > 50)
    assert.is_true(check_literals(tree("lua", "erl"), ERLANG, found) > 0)
    assert(#found == 0, list(found))
  end)

  it("of every page for operators, too", function()
    local found = {}
    for _, pattern in ipairs { "README.md", "CHANGELOG.md", "docs/*.md", "docs/guides/*.md" } do
      for _, path in ipairs(files(pattern)) do
        local number, fenced = 0, false
        for line in (read(path) .. "\n"):gmatch "(.-)\n" do
          number = number + 1
          if line:find "^```" then fenced = not fenced end
          local word = not fenced and holds((line:gsub("`[^`]*`", "")))
          if word then found[#found + 1] = ("%s:%d: %q in: %s"):format(path, number, word, line) end
        end
      end
    end
    assert(#found == 0, list(found))
  end)

  it("are found where they are", function()
    assert.equal("whoever", holds "Whoever was asked")
    assert.equal("goes? on", holds "a run goes\non there")
    assert.equal("%%d processes", holds "%d processes are resumed")
    assert.is_nil(holds "it stands for an atom")
    assert.is_nil(holds "understanding, outstanding")
    assert.same({ { 11, "a b", "c" } }, literals_of(LUA, 'local x = "a b" .. "c" -- "no"'))
    assert.same({ { 5, "a b" } }, literals_of(C_TEXT, 'x = "a b"; /* "no" */'))
  end)
end)
