-- Funs of old code, wherever they are: they work after a swap as they did before it. Tables and persistent terms are given funs
-- of the new code; what a process has keeps its module from being purged, and the next swap says where that is.

local swapped = require "support.swapped"
local term = require "edeliver.relup.term"
local process = require "support.process"

local atom = term.atom
local KEPT = {
  { "stack", "bound" }, { "state", "bare" }, { "dictionary", "bound" }, { "mailbox", "bound" }, { "timer", "bare" },
  { "table", "other" }, { "persistent_term", "other" },
}
local RENEWED = { { "table", "bare" }, { "table", "bound" }, { "persistent_term", "bound" }, { "persistent_term", "bare" } }
local FOUND = { table = "the table swapped_handlers", persistent_term = "the persistent_term swapped_fun" }

describe("funs of old code", function()
  local scene

  before_each(function() scene = swapped.start() end)
  after_each(function() scene:stop_all() end)

  local function hold(place, kind)
    return assert(scene.node:eval("swapped_holder:start(Place, case Kind of bound -> swapped_funs:bound(1); "
      .. "other -> swapped_funs:other(1); bare -> swapped_funs:bare() end).", { Place = atom(place), Kind = atom(kind) }))
  end

  local function swap(version, mode) return scene:swap_only(scene:stop(version, mode, { modules = { "server", "funs" } })) end

  local function old(name) return scene.node:call("erlang", "check_old_code", { atom("swapped_" .. name) }) end

  local function purged(name) return process.wait_until(function() return old(name) == false end, 15000) end

  it("that nobody has keep nothing from being purged", function()
    assert.equal("ok", swap("2", "up").outcome)
    assert.is_truthy(purged "funs")
    scene:wait_until_gone()
  end)

  for _, case in ipairs(RENEWED) do
    local place, kind = table.unpack(case)
    it(("that are in a %s (%s) are given the new code, and the old is purged"):format(place, kind), function()
      local holder = hold(place, kind)
      local prepared, watched = assert(scene:prepare(scene:stop("2", "up", { modules = { "server", "funs" } })))
      assert.same({ { module = "swapped_funs", who = FOUND[place], renewed = true } }, prepared.funs)
      watched:leave()
      scene:wait_until_gone()
      assert.equal("ok", swap("2", "up").outcome)
      assert.is_truthy(purged "funs")
      assert.matches("^{%w+,2}$", tostring(scene.node:call("swapped_holder", "call", { holder })))
      scene:wait_until_gone()
      assert.equal("ok", swap("1", "down").outcome)
      assert.is_truthy(purged "funs")
      assert.matches("^{%w+,1}$", tostring(scene.node:call("swapped_holder", "call", { holder })))
    end)
  end

  it("that handle events, in a table that only its owner writes, are given the new code while events come", function()
    assert(scene.node:eval [=[ swapped_events:start(),
      [swapped_events:attach(I, event, swapped_funs:bound(I)) || I <- lists:seq(1, 5)],
      swapped_events:attach(other, event, fun() -> mine end),
      spawn(fun Each() ->
        [Pid ! {got, swapped_events:execute(event)} || Pid <- [whereis(swapped_events_kept)], is_pid(Pid)],
        timer:sleep(1), Each() end),
      spawn(fun() -> register(swapped_events_kept, self()), (fun Keep(All) -> receive
        {got, One} -> Keep([One | All]); {ask, From} -> From ! {all, All}, Keep(All) end end)([]) end). ]=])
    assert.equal("ok", swap("2", "up").outcome)
    assert.is_truthy(purged "funs")
    assert.equal("[mine,{1,2},{2,2},{3,2},{4,2},{5,2}]", tostring(scene.node:eval "lists:sort(swapped_events:execute(event))."))
    local seen = tostring(scene.node:eval [=[ swapped_events_kept ! {ask, self()}, receive {all, All} ->
      lists:usort([length(lists:usort([case One of {I, _} -> I; _ -> One end || One <- Some])) || Some <- All]) end. ]=])
    assert.equal("[6]", seen)
  end)

  for _, case in ipairs(KEPT) do
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
      if place == "timer" then return end -- which the call has cancelled
      local prepared, message, code = scene:prepare(scene:stop("1", "down", { modules = { "server", "funs" } }))
      assert.is_nil(prepared)
      assert.equal("old_code", code)
      assert.matches("funs of old code of swapped_funs", message, 1, true)
      if place ~= "mailbox" then assert.matches(FOUND[place] or tostring(holder), message, 1, true) end
      assert.is_true(old "funs")
      assert.equal(called, tostring(scene.node:call("swapped_holder", "call", { holder })))
    end)
  end

  it("are purged with their module once nobody has them any more, and the next swap is free", function()
    local holder = hold("table", "other")
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
