-- A module with a NIF library: the library of the new version is loaded from its own priv, or all is as it was.

local swapped = require "support.swapped"
local process = require "support.process"
local term = require "edeliver.relup.term"

local atom = term.atom

describe("a swap of a module with a NIF library", function()
  local scene

  -- Compiles both versions; the second can, or cannot, take the place of the first. The first is loaded.
  local function start(upgrade)
    scene = swapped.start()
    local root = term.text(assert(scene.node:call("code", "root_dir", {})))
    local sources = process.root .. "/spec/support/swapped/nif"
    for version = 1, 2 do
      local lib = ("%s/lib/swapped-%d"):format(scene.folder, version)
      assert(os.execute(("mkdir -p %s/priv && erlc -DVSN=%d -o %s/ebin %s/swapped_nif.erl"):format(lib, version, lib, sources)))
      assert(os.execute(("cc -shared -fPIC -I%s/usr/include -DVSN=%d -DUPGRADE=%d -o %s/priv/swapped_nif.so %s/swapped_nif.c")
        :format(root, version, upgrade and 1 or 0, lib, sources)))
    end
    assert.equal(1, scene.node:call("swapped_nif", "value", {}))
  end

  after_each(function() scene:stop_all() end)

  local function stop(version, mode)
    local made = scene:stop(version, mode, { modules = { "server", "nif" } })
    made.paths = { { application = atom "swapped", version = version } }
    return made
  end

  local function value() return scene.node:call("swapped_nif", "value", {}) end

  it("that can be upgraded loads the new one, and the old one on the way back", function()
    start(true)
    local pids = scene:servers("good", 2)
    local report = scene:swap(stop("2", "up"))
    assert.equal("ok", report.outcome, tostring(report.reason))
    assert.equal(2, value())
    assert.equal(2, scene:version "nif")
    assert.matches("^{good,2,", scene:state(pids[1]))
    assert.equal("ok", scene:swap(stop("1", "down")).outcome)
    assert.equal(1, value())
    assert.matches("^{good,1,", scene:state(pids[1]))
  end)

  it("that cannot be upgraded is refused, and all is as it was", function()
    start(false)
    local pids = scene:servers("good", 2)
    local report = scene:swap(stop("2", "up"))
    assert.equal("refused", report.outcome)
    assert.matches("{on_load,[{swapped_nif,on_load_failure}]}", tostring(report.reason), 1, true)
    assert.equal(1, value())
    assert.equal(1, scene:version "nif")
    assert.equal(1, scene:version "server")
    assert.equal("{good,1,[]}", scene:state(pids[1]))
    assert.matches('/swapped%-1"$', scene:path_of_the_application())
    assert.equal(0, #assert(scene.node:suspended()))
  end)
end)
