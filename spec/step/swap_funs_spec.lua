-- Funs of old code, wherever they are: they work after a swap as they did before it, their module is not purged while they are
-- there, and the next swap says where that is.

local swapped = require "support.swapped"
local term = require "edeliver.relup.term"
local process = require "support.process"

local atom = term.atom
local PLACES = {
  { "stack", "bound" }, { "state", "bare" }, { "dictionary", "bound" }, { "table", "bare" }, { "persistent_term", "bound" },
  { "persistent_term", "bare" }, { "mailbox", "bound" }, { "timer", "bare" },
}
local FOUND = { table = "the table swapped_handlers", persistent_term = "the persistent_term swapped_fun" }

describe("funs of old code", function()
  local scene

  before_each(function() scene = swapped.start() end)
  after_each(function() scene:stop_all() end)

  local function hold(place, kind)
    return assert(scene.node:eval("swapped_holder:start(Place, case Kind of bound -> swapped_funs:bound(1); "
      .. "bare -> swapped_funs:bare() end).", { Place = atom(place), Kind = atom(kind) }))
  end

  local function swap(version, mode) return scene:swap_only(scene:stop(version, mode, { modules = { "server", "funs" } })) end

  local function old(name) return scene.node:call("erlang", "check_old_code", { atom("swapped_" .. name) }) end

  local function purged(name) return process.wait_until(function() return old(name) == false end, 15000) end

  it("that nobody has keep nothing from being purged", function()
    assert.equal("ok", swap("2", "up").outcome)
    assert.is_truthy(purged "funs")
    scene:wait_until_gone()
  end)

  for _, case in ipairs(PLACES) do
    local place, kind = table.unpack(case)
    it(("that are in a %s (%s) go on working"):format(place, kind), function()
      local holder = hold(place, kind)
      assert.equal("ok", swap("2", "up").outcome)
      assert.is_truthy(purged "server")
      process.sleep(100)
      assert.is_true(old "funs")
      assert.equal(2, scene:version "funs")
      local called = tostring(scene.node:call("swapped_holder", "call", { holder }))
      assert.matches("^{%w+,1}$", called)
      local prepared, message, code = scene:prepare(scene:stop("1", "down", { modules = { "server", "funs" } }))
      if place == "timer" then return end -- which the call has cancelled
      assert.is_nil(prepared)
      assert.equal("old_code", code)
      assert.matches("funs of old code of swapped_funs", message, 1, true)
      if place ~= "mailbox" then assert.matches(FOUND[place] or tostring(holder), message, 1, true) end
      assert.is_true(old "funs")
      assert.equal(called, tostring(scene.node:call("swapped_holder", "call", { holder })))
    end)
  end

  it("are purged with their module once nobody has them any more, and the next swap is free", function()
    local holder = hold("table", "bound")
    assert.equal("ok", swap("2", "up").outcome)
    assert.is_truthy(purged "server")
    assert.is_true(old "funs")
    assert(scene.node:call("swapped_holder", "release", { holder }))
    assert.is_truthy(purged "funs")
    scene:wait_until_gone()
    assert.equal("ok", swap("1", "down").outcome)
  end)

  it("are known to the check of old code, which purges what nobody runs", function()
    local holder = hold("state", "bound")
    assert.equal("ok", swap("2", "up").outcome)
    assert.is_truthy(purged "server")
    local answer = assert(scene.node:run("running_old_code", { Modules = atom "all", Purge = true }))
    assert.not_matches("swapped_funs", tostring(answer[2]), 1, true)
    assert.equal("{1,1}", tostring(scene.node:call("swapped_holder", "call", { holder })))
  end)

  it("keep a swap from going back: what cannot be changed is restarted then", function()
    local holder = hold("state", "bound")
    local bad = scene:servers("fails", 1)
    local report = swap("2", "up")
    assert.equal("ok", report.outcome)
    assert.equal(bad[1], report.restarted[1].pid)
    assert.equal("{1,1}", tostring(scene.node:call("swapped_holder", "call", { holder })))
  end)
end)
