-- The check that nothing is left behind finds what is, and blames nobody else. Its proof runs busted itself, on spec files made
-- here, that leak in each way there is.

local core = require "edeliver.relup.core"
local leaks = require "support.leaks"
local process = require "support.process"

local function find(object)
  leaks.collect()
  for _, one in ipairs(leaks.reachable()) do
    if one.object == object then return one end
  end
end

describe("support.leaks", function()
  local registry = debug.getregistry()

  it("lists open descriptors, and not the one that it looks with", function()
    local before = leaks.descriptors()
    assert.same(before, leaks.descriptors())
    local file <close> = assert(io.open "/dev/zero")
    local found = 0
    for descriptor, target in pairs(leaks.descriptors()) do
      if target ~= before[descriptor] then
        found = found + 1
        assert.equal("/dev/zero", target)
      end
    end
    assert.equal(1, found)
    file:close()
    assert.same(before, leaks.descriptors())
  end)

  it("counts descriptors without what waits for the collector", function()
    local before = leaks.count_descriptors()
    local file = assert(io.open "/dev/zero")
    assert.equal(before + 1, leaks.count_descriptors())
    assert.equal("file", io.type(file))
    file = nil -- luacheck: ignore
    assert.equal(before, leaks.count_descriptors())
  end)

  it("tells an open file from a closed one", function()
    local file <close> = assert(io.open "/dev/zero")
    assert.is_true(find(file).open)
    file:close()
    assert.is_nil(find(file))
  end)

  it("finds our userdata wherever it is held, and says where", function()
    local function of_others(text) return assert(load(text, "=somebody else's")) end
    local places = {
      table = function(set) return { deep = { inside = set } } end,
      key = function(set) return { [set] = true } end,
      metatable = function(set) return setmetatable({}, { set }) end,
      ["function"] = of_others "local set = ... return function() return set end",
      coroutine = function(set)
        local held = coroutine.wrap(of_others "local set = ... coroutine.yield() return set")
        held(set)
        return held
      end,
    }
    for place, hold in pairs(places) do
      finally(function() registry["leaks_spec"] = nil end)
      local set = core.pids {}
      registry["leaks_spec"] = table.pack(hold(set))
      local one = find(set)
      assert.equal("edeliver.relup.pids", one.name, place)
      assert.is_nil(one.by_spec, place)
      assert.matches("^leaks_spec > ", one.path, nil, nil, place)
    end
  end)

  it("tells what a spec alone holds from what something else holds, too", function()
    local set = core.pids {}
    assert.is_true(find(set).by_spec)
    registry["leaks_spec"] = setmetatable({ set }, { __mode = "v" })
    finally(function() registry["leaks_spec"] = nil end)
    assert.is_true(find(set).by_spec)
    registry["leaks_spec"] = { set }
    assert.is_nil(find(set).by_spec)
  end)
end)

describe("support.leak_check", function()
  local folder

  setup(function() folder = process.temporary_folder() end)
  teardown(function() process.remove_folder(folder) end)

  -- What a run of busted prints about a spec with this text, and whether it was content.
  local function run(text)
    local path = folder .. "/some_spec.lua"
    local file <close> = assert(io.open(path, "w"))
    file:write("local core = require 'edeliver.relup.core'\n", text)
    file:close()
    return process.output(("cd %s && busted -o TAP %s 2>&1"):format(process.quote(process.root), process.quote(path)))
  end

  local function refused(said, text)
    local printed, content = run(text)
    assert.falsy(content, printed)
    assert.matches("\nnot ok %d - [^\n]* leaves nothing behind\n", printed)
    for _, words in ipairs(said) do assert.matches(words, printed, 1, true) end
  end

  it("is content with what tests share, and with what they close", function()
    local printed, content = run [[
      local file, set
      setup(function() file = io.open "/dev/zero" end)
      it("opens", function() local other <close> = io.open "/dev/null"; set = core.pids {} end)
      it("shares", function() assert.equal(0, #set); assert.truthy(file:read(1)) end)
      teardown(function() file:close() end) ]]
    assert.truthy(content, printed)
    assert.matches("ok 2 - shares\n1..2\n", printed, 1, true)
  end)

  it("names the test after which a module holds userdata", function()
    refused({ "a test leaves nothing", "edeliver.relup.pids, held by: _LOADED > edeliver.relup.core > kept" },
      "it('is fine', function() end) it('a test', function() core.kept = core.pids {} end)")
  end)

  it("names the test after which the registry holds a file", function()
    refused({ "a test leaves nothing", "FILE*, held by: kept", "/dev/zero, open since: a test" },
      "it('a test', function() debug.getregistry().kept = io.open '/dev/zero' end)")
  end)

  it("names the test after which a descriptor has no owner", function()
    refused({ "a test leaves nothing", "1 descriptors without an owner", "/dev/zero" }, [[
      it("a test", function() debug.setmetatable(io.open "/dev/zero", nil) end) ]])
  end)

  it("names the file that leaves a socket to the collector", function()
    refused({ "some_spec.lua leaves nothing", "socket:", "open since: a test" }, [[
      local nodes, node, connection = require "support.node"
      setup(function() node = nodes.start() end)
      it("a test", function()
        connection = assert(require("edeliver.relup").connect(node.name, { cookie = node.cookie, epmd_port = node.epmd_port }))
      end)
      it("another", function() assert.truthy(connection:is_open()) end)
      teardown(function() node:stop() end) ]])
  end)
end)
