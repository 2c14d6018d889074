local file = require "edeliver.relup.file"
local consult = require "edeliver.relup.consult"
local term = require "edeliver.relup.term"
local default_modification = require "edeliver.relup.default_modification"

local RELUP = [[
%% coding: utf-8
%% made by hand
{"2.0.0",
 [{"1.0.0",[],
   [{load_object_code,{myapp,"2.0.0",[a]}},
    point_of_no_return,
    {load,{a,brutal_purge,brutal_purge}}]},
  {"1.1.0",[],[point_of_no_return,{load,{a,brutal_purge,soft_purge}}]}],
 [{"1.0.0",[],[point_of_no_return,{load,{a,brutal_purge,brutal_purge}}]}]}.
]]

local function sh(command)
  local pipe <close> = assert(io.popen(command))
  return (pipe:read "a":gsub("%s+$", ""))
end

local function read(path)
  local handle <close> = assert(io.open(path, "rb"))
  return handle:read "a"
end

describe("edeliver.relup.file", function()
  local folder, path

  local function write(text, name)
    local handle <close> = assert(io.open(folder .. "/" .. (name or "relup"), "wb"))
    handle:write(text)
  end

  before_each(function()
    folder = sh "mktemp -d"
    path = folder .. "/relup"
    write(RELUP)
  end)

  after_each(function() os.execute("rm -rf '" .. folder .. "'") end)

  local config = { name = "myapp" }

  it("changes every entry, keeps the comments, the mode and the old file", function()
    os.execute("chmod 640 " .. path)
    local backup = assert(file.modify(path, config, default_modification))
    assert.are.equal(path .. ".bak", backup)
    assert.are.equal(RELUP, read(backup))
    assert.are.equal("640 640", sh("stat -c %a " .. path .. " " .. backup):gsub("\n", " "))
    local text = read(path)
    assert.are.equal("%% coding: utf-8\n%% made by hand\n", text:match "^%%%%[^\n]*\n%%%%[^\n]*\n")
    local _, softened = text:gsub("a,soft_purge,", "")
    assert.are.equal(3, softened)
    local _, kept = text:gsub("brutal_purge}", "")
    assert.are.equal(2, kept)
    -- Nothing else lies about.
    assert.are.equal("relup relup.bak", sh("ls " .. folder):gsub("\n", " "))
  end)

  it("shows in a diff only what changed", function()
    write(consult.write(assert(consult.parse(RELUP)), "%% coding: utf-8\n"))
    assert(file.modify(path, config, default_modification))
    local changes = sh(("diff %s.bak %s | grep -c '^>'"):format(path, path))
    assert.are.equal("3", changes)
  end)

  it("writes nothing where nothing changes", function()
    assert.is_string(file.modify(path, config, default_modification))
    local before = sh("stat -c %i " .. path)
    assert.is_false(file.modify(path, config, default_modification))
    assert.are.equal(before, sh("stat -c %i " .. path))
  end)

  it("never overwrites a backup", function()
    write("precious", "relup.bak")
    assert.are.equal(path .. ".bak.1", file.modify(path, config, default_modification))
    assert.are.equal("precious", read(path .. ".bak"))
  end)

  it("follows a symbolic link, and leaves it one", function()
    os.execute(("mv %s %s/real && ln -s real %s"):format(path, folder, path))
    assert(file.modify(path, config, default_modification))
    assert.are.equal("real", sh("readlink " .. path))
    assert.matches("soft_purge", read(folder .. "/real"))
  end)

  it("leaves alone what it cannot parse, with line and column", function()
    write('{"2.0.0",\n [{"1.0.0",]}.\n')
    local done, message, code = file.modify(path, config, default_modification)
    assert.is_nil(done)
    assert.are.equal("syntax", code)
    assert.matches(path .. ': line 2, column 12: unexpected "]"', message, 1, true)
    assert.are.equal('{"2.0.0",\n [{"1.0.0",]}.\n', read(path))
    assert.are.equal("relup", sh("ls " .. folder))
  end)

  it("leaves alone what is no relup", function()
    write "{application,a,[]}.\n"
    local done, message, code = file.modify(path, config, default_modification)
    assert.is_nil(done)
    assert.are.equal("syntax", code)
    assert.matches("a relup is one tuple", message, 1, true)
  end)

  it("refuses a file that changed since it was read", function()
    local contents = assert(file.read(path))
    write(RELUP .. "%% somebody was here\n")
    local done, message, code = file.write(contents, { term.atom "other" })
    assert.is_nil(done)
    assert.are.equal("changed", code)
    assert.matches("has changed since it was read", message, 1, true)
    assert.are.equal(RELUP .. "%% somebody was here\n", read(path))
    assert.are.equal("relup", sh("ls " .. folder))
  end)

  it("says what the system refused", function()
    local contents, message, code = file.read(folder .. "/missing")
    assert.is_nil(contents)
    assert.are.equal("system", code)
    assert.matches("missing", message, 1, true)
    os.execute("rm " .. path)
    local done
    done, message, code = file.write({ path = path, text = "", terms = {}, header = "" }, { 1 })
    assert.is_nil(done)
    assert.are.equal("system", code)
    assert.matches("cannot find", message, 1, true)
  end)

  it("reads a relup once, with its ways", function()
    local read_relup = assert(file.read_relup(path))
    assert.are.equal("2.0.0", read_relup.version)
    local titles = {}
    for i, entry in ipairs(read_relup.entries) do titles[i] = entry.title end
    assert.are.same({ "up from 1.0.0", "up from 1.1.0", "down to 1.0.0" }, titles)
    local BAD = { "a.", '{"1",[],[]}. b.', '{"1",[a],[]}.', '{"1",[{"0",[]}],[]}.', '{<<"1">>,[],[]}.', '{"1",[],x}.' }
    for _, text in ipairs(BAD) do
      write(text)
      local nothing, message, code = file.read_relup(path)
      assert.is_nil(nothing)
      assert.are.equal("syntax", code)
      assert.matches("a relup is one tuple", message, 1, true)
    end
  end)

  it("keeps comments in latin-1 readable in UTF-8", function()
    write "%% J\xFCrgen made this\n%% coding: latin-1\n'\xE4'.\n"
    assert(file.write(assert(file.read(path)), { term.atom "ö" }))
    assert.are.equal("%% Jürgen made this\nö.\n", read(path))
    -- Here the second name of an encoding is but talk.
    write "%% coding: utf-8, not coding: latin-1\n'\xC3\xA4'.\n"
    assert(file.write(assert(file.read(path)), { term.atom "ö" }))
    assert.are.equal("%% coding: utf-8, not coding: latin-1\nö.\n", read(path))
  end)

  it("reads latin-1 and writes UTF-8, without the wrong comment", function()
    write "%% coding: latin-1\n'\xE4'.\n"
    local contents = assert(file.read(path))
    assert.are.equal(term.atom "ä", contents.terms[1])
    assert(file.write(contents, { term.atom "ö" }))
    assert.are.equal("%% coding: utf-8\nö.\n", read(path))
  end)
end)
