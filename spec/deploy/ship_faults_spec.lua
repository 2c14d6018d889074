-- What can break while a release is brought to a node: the node itself, its disk, its right to write, the link.

local connect = require("edeliver.relup.node").connect
local process = require "support.process"
local program = require "cli.program"
local register = require "edeliver.relup.deploy.register"
local release_of = require "edeliver.relup.release"
local releases = require "support.releases"
local ship = require "edeliver.relup.deploy.ship"

describe("while a release is sent", function()
  local folder, path, large
  setup(function()
    folder = process.temporary_folder()
    path = folder .. "/large"
    -- Nothing of version 2.0.0 but its own application, with 24 MB of noise.
    process.shell([[cp -r %s/shop-2.0.0 %s && cd %s/lib && rm -r stock-* && cp -r %s/shop-1.0.0/lib/stock-* . &&
      head -c 25165824 /dev/urandom >shop-2.0.0/priv/noise]], releases.built(), path, path, releases.built())
    large = assert(release_of.open(path))
  end)
  teardown(function() process.remove_folder(folder) end)

  local function connected(running)
    return assert(connect(running.name, { cookie = running.cookie, epmd_port = running.epmd_port }))
  end
  local function tree(root)
    return (process.output(("cd %s && find . -path ./tmp -prune -o -printf '%%p %%m %%s\n' | LC_ALL=C sort"):format(root)))
  end
  local function sums(root)
    return (process.output(("cd %s/lib/shop-2.0.0 && find . -type f | sort | xargs md5sum"):format(root)))
  end
  -- Calls once when so many bytes are there.
  local function at(bytes, act)
    local done
    return function(sent)
      if sent >= bytes and not done then
        done = true
        act()
      end
    end
  end

  it("the node is killed: it starts with what it had, and the next sending resumes", function()
    local root = releases.copy("1.0.0", folder)
    local running = releases.start(root)
    local node = connected(running)
    local before = tree(root)
    local _, message, code = ship.send(node, assert(ship.compare(node, large)),
      { progress = at(8 << 20, function() running:signal "KILL" end) })
    assert.equal("nodedown", code)
    assert.matches("what was sent so far is left in .*/lib/.ship%-%x+ and .*; the next deploy continues with it", message)
    node:close()
    running:stop()
    local again <close> = releases.start(root)
    local other <close> = connected(again)
    local first
    local shipped = assert(ship.send(other, assert(ship.compare(other, large)),
      { progress = function(sent) first = first or sent end }))
    assert.truthy(first > 4 << 20, first)
    assert.equal(sums(path), sums(root))
    assert(ship.take_back(other, shipped))
    assert.equal(before, tree(root))
  end)

  it("what was left can be removed", function()
    local running <close> = releases.start(releases.copy("1.0.0", folder))
    local node <close> = connected(running)
    local before = tree(running.root)
    local other = connected(running)
    ship.send(other, assert(ship.compare(other, large)), { progress = at(8 << 20, function() other:close() end) })
    assert(process.wait_until(function() return running:eval "whereis(edeliver_relup_ship)" == "undefined" end, 5000))
    assert.matches("lib/%.ship%-", table.concat(assert(register.remove(node, "2.0.0", { dry = true })), " "))
    assert(register.remove(node, "2.0.0"))
    assert.equal(before, tree(running.root))
  end)

  it("Ctrl-C: all is as it was, and the next deploy sends it", function()
    local running <close> = releases.start(releases.copy("1.0.0", folder))
    local node <close> = connected(running)
    local tree_before = tree(running.root)
    local slow = folder .. "/slow"
    process.shell("rm -rf %s && cp -r %s %s && truncate -s 500M %s/lib/shop-2.0.0/priv/noise", slow, path, slow, slow)
    local before = running:eval "release_handler:which_releases()"
    local command = program.command({ running.name, "deploy", slow, "--yes", "--anyway" }, { env = {
      EDELIVER_RELUP_COOKIE = running.cookie, ERL_EPMD_PORT = tostring(running.epmd_port), XDG_STATE_HOME = folder .. "/state",
    } })
    local deploy <close> = process.start { command = { "sh", "-c", command .. " 2>&1" } }
    local arrived = ("stat -c %%s %s/lib/.ship-*/shop-2.0.0/priv/noise 2>/dev/null"):format(running.root)
    local function is_at_it() return (tonumber((process.output(arrived))) or 0) > 4 << 20 end
    assert(process.wait_until(is_at_it, 30000), deploy:printed())
    deploy:signal "INT"
    assert(process.wait_until(function() return deploy:exited() end, 20000), deploy:printed())
    assert.matches("interrupted by SIGINT", deploy:printed(), 1, true)
    assert.equal(tree_before, tree(running.root))
    assert.equal(before, running:eval "release_handler:which_releases()")
    process.shell("truncate -s 32M %s/lib/shop-2.0.0/priv/noise", slow)
    local sent = assert(ship.send(node, assert(ship.compare(node, assert(release_of.open(slow))))))
    assert(ship.take_back(node, sent))
  end)

  it("a node that drops who says nothing for a second hears from us while it lasts", function()
    local running <close> = releases.start(releases.copy("1.0.0", folder))
    local node <close> = connected(running)
    running:eval "net_kernel:set_net_ticktime(1, 0)"
    assert(process.wait_until(function() return running:eval "net_kernel:get_net_ticktime()" == "1" end, 10000))
    -- Something is always on its way, and nothing for long.
    local began = process.now()
    local shipped = assert(ship.send(node, assert(ship.compare(node, large)), { progress = function()
      if process.now() - began < 4000 then process.sleep(200) end
    end }))
    assert.is_true(process.now() - began > 2500)
    assert(ship.take_back(node, shipped))
  end)

  -- A release on a disk of its own, of so many MB.
  local function on_disk(megabytes, run)
    local disk = folder .. "/disk"
    if not os.execute(("mkdir -p %s && mount -t tmpfs -o size=%dm tmpfs %s 2>/dev/null"):format(disk, megabytes, disk)) then
      return pending "a disk of its own needs root"
    end
    local _ <close> = setmetatable({}, { __close = function() os.execute(("umount -l %s"):format(disk)) end })
    local running <close> = releases.start(releases.copy("1.0.0", disk))
    local node <close> = connected(running)
    run(running, node, disk)
  end

  it("the disk is full: all is as it was", function()
    on_disk(130, function(running, node, disk)
      local compared = assert(ship.compare(node, large))
      local before = tree(running.root)
      local _, message, code = ship.send(node, compared, { progress = at(4 << 20, function()
        os.execute(("head -c 200000000 /dev/zero >%s/filler 2>/dev/null"):format(disk))
      end) })
      assert.equal("no_room", code)
      assert.matches("the disk of .* is full", message)
      assert.equal(before, tree(running.root))
      assert.equal("no_room", select(3, ship.compare(node, large)))
      assert(os.remove(disk .. "/filler"))
      assert(ship.take_back(node, assert(ship.send(node, assert(ship.compare(node, large))))))
      assert.equal(before, tree(running.root))
    end)
  end)

  it("the tree is read-only: nothing is sent, and it is said", function()
    on_disk(130, function(running, node, disk)
      local before = tree(running.root)
      process.shell("mount -o remount,ro %s", disk)
      local compared, message, code = ship.compare(node, large)
      if compared then
        local sent
        sent, message, code = ship.send(node, compared)
        assert.is_nil(sent)
      end
      assert.equal("no_rights", code)
      assert.matches("may not write", message)
      assert.equal(before, tree(running.root))
      process.shell("mount -o remount,rw %s", disk)
    end)
  end)
end)
