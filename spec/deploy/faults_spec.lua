-- Whatever happens in the middle of a deploy or a rollback: the node is all old or all new, nobody is suspended, and another try
-- goes through. Every accident at every part. Prints the matrix as a table.

local depots = require "support.depot"
local process = require "support.process"
local proxy = require "support.proxy"
local scene = require "support.scene"

local GRACE, LEASE = 300, 1500 -- ms
local PARTS = { "ship", "register", "configuration", "swap", "verify" }

describe("an accident in a deploy", function()
  local depot, between, count

  setup(function()
    depot, count = depots.start(), 0
    between = proxy.start(depot.release:dist_port())
  end)
  teardown(function()
    scene.print_table()
    if between then between:stop() end
    depot:stop()
  end)

  -- One that goes to the other version.
  local function operate(part, fault)
    count = count + 1
    local before = depot:running()
    local words = {
      "lua5.4", process.root .. "/spec/support/deployer.lua", "node=" .. depot.release.name, "cookie=" .. depot.release.cookie,
      "epmd_port=" .. depot.release.epmd_port, "port=" .. between.port, "grace=" .. GRACE, "lease=" .. LEASE,
      ("journal=%s/%d.jsonl"):format(depot.folder, count), "at=" .. part, "fault=" .. fault,
      before == "1.0.0" and "release=" .. depots.release "2.0.0" or nil,
    }
    local started = process.start { command = words, env = { LUA_PATH = package.path, LUA_CPATH = package.cpath,
      HOME = depot.release.folder } }
    local there = process.wait_until(function()
      return started:printed():find("at the fault", 1, true) and "there" or started:exited() and "exited"
    end, 60000)
    assert(there == "there", started:printed())
    return started, before
  end

  local function finish(started)
    assert(process.wait_until(function() return started:exited() end, 60000), "the operator hangs: " .. started:printed())
    local printed = started:printed()
    started:stop()
    return printed
  end

  -- The other way where that is wanted: what is shipped and registered, only the way up does.
  local function at_version(version)
    local running = depot:running()
    if running == version then return end
    local result = running == "1.0.0" and depot:deploy "2.0.0" or depot:json "NODE rollback"
    assert.equal(0, result.code, result.err)
  end

  local function check(part, fault, before, printed, started_at)
    depot:wait_until_left(20000)
    local now = depot:running()
    if part ~= "swap" then assert.equal(part == "verify" and (before == "1.0.0" and "2.0.0" or "1.0.0") or before, now) end
    depot:is_whole(now)
    scene.note(fault, part, ("%s, %s runs"):format(printed:match "\n(failed [%l_]+)" or "killed", now),
      process.now() - started_at)
    -- Another try goes through, wherever this one ended.
    local again = now == "1.0.0" and depot:deploy "2.0.0" or depot:json "NODE rollback"
    assert.equal(0, again.code, again.err)
    depot:is_whole(now == "1.0.0" and "2.0.0" or "1.0.0")
  end

  for _, part in ipairs(PARTS) do
    describe("at " .. part, function()
      before_each(function()
        if part == "ship" or part == "register" then at_version "1.0.0" end
        if part == "ship" then
          local removed = depot:run "NODE remove 2.0.0"
          assert(removed.code == 0 or removed.err:find("no release 2.0.0", 1, true), removed.err)
        end
      end)

      it("SIGKILL of the operator", function()
        local started, before = operate(part, "kill")
        local at = process.now()
        check(part, "SIGKILL", before, finish(started), at)
      end)

      it("the link is cut", function()
        local started, before = operate(part, "doze")
        between:cut()
        local at = process.now()
        depot:wait_until_left(30000)
        between:heal()
        check(part, "link cut", before, finish(started), at)
      end)

      it("the guard is killed", function()
        local started, before = operate(part, "doze")
        depot:eval "exit(whereis(edeliver_relup), kill)"
        local at = process.now()
        check(part, "the guard is killed", before, finish(started), at)
      end)
    end)
  end
end)
