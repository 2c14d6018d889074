-- The guides tell the truth: their Lua is from examples that run, their commands parse, their links lead somewhere, and the
-- fields that they promise are the ones that come.

local process = require "support.process"
local parser = require "edeliver.relup.cli.parser"

local function read(path) return assert(process.read_file(process.root .. "/" .. path), path) end

local function guides()
  local found = {}
  local patterns = "docs/guides/*.md docs/*.md docs/internals/*.md"
  local listed = process.output(("cd %s && ls %s"):format(process.quote(process.root), patterns))
  for path in listed:gmatch "[^\n]+" do
    found[#found + 1] = path
  end
  return found
end

local function blocks(text, language)
  local found = {}
  for block in ("\n" .. text):gmatch("\n```" .. language .. "\n(.-)\n```") do found[#found + 1] = block end
  return found
end

-- The words of a simple shell line.
local function words_of(line)
  local words = {}
  line = line:gsub("'([^']*)'", function(inner) return (inner:gsub(" ", "\1")) end)
  for word in line:gmatch "%S+" do words[#words + 1] = (word:gsub("\1", " ")) end
  return words
end

local function all_examples()
  local texts = {}
  for name in process.output(("ls %s/examples/*.lua"):format(process.quote(process.root))):gmatch "[^\n]+" do
    texts[#texts + 1] = process.read_file(name)
  end
  return table.concat(texts, "\n")
end

describe("the guides", function()
  it("show only Lua that is in an example", function()
    local examples, count = all_examples(), 0
    for _, path in ipairs(guides()) do
      for _, block in ipairs(blocks(read(path), "lua")) do
        count = count + 1
        assert(examples:find(block, 1, true), path .. ": this is in no example:\n" .. block)
      end
    end
    assert.is_true(count >= 6)
  end)

  it("show only commands that the program understands, and examples that are there", function()
    local count = 0
    for _, path in ipairs(guides()) do
      for _, block in ipairs(blocks(read(path), "sh")) do
        for line in block:gmatch "[^\n]+" do
          local words = words_of((line:gsub(" [>|] .*$", "")))
          if words[1] == "edeliver-relup" then
            count = count + 1
            -- An environment stands for a node, where none follows it.
            if words[2]:find "^@" and words[3]:find "@" then table.remove(words, 2) end
            if words[2]:find "^@" then words[2] = "a@b" end
            local args, stopped = parser.parse(table.move(words, 2, #words, 1, {}))
            assert(args, path .. ": " .. line .. ": " .. tostring(stopped and stopped.message))
          elseif words[1] == "lua5.4" then
            read(words[2])
          end
        end
      end
    end
    assert.is_true(count >= 15)
  end)

  it("show in --help only commands that are understood", function()
    for _, name in ipairs(parser.commands) do
      for _, example in ipairs(parser.command(name).examples) do
        for part in (example .. " && "):gmatch "(.-) && " do
          local line = part:gsub(" [>|] .*$", ""):gsub("\"<<\\\"b\\\">>\"", "x")
          local words = words_of(line)
          assert.equal("edeliver-relup", words[1])
          local args, stopped = parser.parse(table.move(words, 2, #words, 1, {}))
          assert(args, example .. ": " .. tostring(stopped and stopped.message))
        end
      end
    end
  end)

  it("link to what is there", function()
    for _, path in ipairs(guides()) do
      local folder = path:match "^(.*)/"
      for target in read(path):gmatch "%]%(([^)#]+)[^)]*%)" do
        if not target:find "^https?:" then
          local found = process.output(("cd %s/%s && ls -d %s 2>/dev/null"):format(process.quote(process.root), folder, target))
          assert(found ~= "", path .. " links to " .. target)
        end
      end
    end
  end)

  it("document every command's JSON", function()
    local text = read "docs/guides/command-line.md"
    for _, name in ipairs(parser.commands) do
      if name ~= "repl" then assert.matches("`" .. name .. "`", text, 1, true) end
    end
  end)
end)

-- The functions of all our modules, as { "module.function" = whether it has words of its own }.
local function all_functions()
  local help, found = require "edeliver.relup.repl.help", {}
  local listed = process.output(("cd %s/lua && find edeliver -name '*.lua'"):format(process.quote(process.root)))
  for path in listed:gmatch "[^\n]+" do
    local name = path:gsub("%.lua$", ""):gsub("/init$", ""):gsub("/", ".")
    local module = require(name)
    for key, value in pairs(type(module) == "table" and module or {}) do
      if type(key) == "string" and type(value) == "function" and not key:find "^__" then
        found[name .. "." .. key] = not help.text(value):find("nothing is written", 1, true)
      end
    end
  end
  return found
end

describe("everything public has words", function()
  it("in Lua: every function of every module; those that many modules have, in one of them", function()
    local found, described, missing = all_functions(), {}, {}
    for name, has_words in pairs(found) do
      if has_words then described[name:match "[^.]+$"] = true end
    end
    for name in pairs(found) do
      if not described[name:match "[^.]+$"] then missing[#missing + 1] = name end
    end
    table.sort(missing)
    assert.same({}, missing)
  end)

  it("in C: every function that Lua sees", function()
    local source = process.output(("cat %s/src/binding/*.c"):format(process.quote(process.root)))
    local missing, count = {}, 0
    for name in source:gmatch '{"([%l_]+)", [%l_]+}' do
      if not name:find "^__" then
        count = count + 1
        if not source:find("@function [%l_:.]*%f[%l_]" .. name .. "%f[^%l_]") then missing[#missing + 1] = name end
      end
    end
    assert.is_true(count > 30)
    assert.same({}, missing)
  end)
end)
