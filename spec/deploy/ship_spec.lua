-- A release that is brought to a real node, a plain mix release: only what it lacks, whole or not at all.

local connect = require("edeliver.relup.node").connect
local process = require "support.process"
local release_of = require "edeliver.relup.release"
local releases = require "support.releases"
local ship = require "edeliver.relup.deploy.ship"
local term = require "edeliver.relup.term"

describe("deploy.ship", function()
  local folder, built, running, node, new, target

  setup(function()
    folder, built = process.temporary_folder(), releases.built()
    running = releases.start(releases.copy("1.0.0", folder))
    node = assert(connect(running.name, { cookie = running.cookie, epmd_port = running.epmd_port }))
    -- Version 2.0.0, but for the application that changes under its version.
    target = folder .. "/target"
    assert(os.execute(("cp -r %s/shop-2.0.0 %s && cd %s/lib && rm -r stock-* && cp -r %s/shop-1.0.0/lib/stock-* ."):format(
      built, target, target, built)))
    new = assert(release_of.open(target))
  end)
  teardown(function()
    if node then node:close() end
    if running then running:stop() end
    process.remove_folder(folder)
  end)

  local function sh(command, where)
    return (process.output(("cd %s && { %s; } 2>&1"):format(process.quote(where or running.root), command)))
  end
  local function tree() return sh "find . -path ./tmp -prune -o -printf '%p %m %u %s\\n' | LC_ALL=C sort" end
  local function sums(where, what) return sh(("find %s -type f | LC_ALL=C sort | xargs md5sum"):format(what), where) end
  local function lines_of(compared)
    local names = {}
    for _, file in ipairs(compared.needed) do names[#names + 1] = file.name end
    return table.concat(names, "\n")
  end
  -- A copy of version 2.0.0 that may be changed.
  local function copy(name, script)
    local path = ("%s/%s"):format(folder, name)
    assert(os.execute(("rm -rf %s && cp -r %s %s"):format(path, target, path)))
    if script then sh(script, path) end
    return assert(release_of.open(path)), path
  end
  -- The first of the changed release's modules is a megabyte and more of noise that no compression helps with.
  local function large(megabytes)
    return copy("large", ("head -c %d /dev/urandom >lib/shop-2.0.0/priv/noise"):format(megabytes << 20))
  end

  it("sends what the node lacks, and takes it back", function()
    local before = tree()
    local compared = assert(ship.compare(node, new))
    assert.same({}, compared.rename)
    assert.is_false(compared.has_version)
    assert.equal(before, tree())
    local seen = {}
    local shipped = assert(ship.send(node, compared, { progress = function(sent, all) seen[#seen + 1] = { sent, all } end }))
    assert.same({ "lib/shop-2.0.0", "releases/2.0.0" }, shipped.folders)
    for _, what in ipairs(shipped.folders) do assert.equal(sums(target, what), sums(running.root, what)) end
    -- A mix release is 30 MB; nothing of Erlang, Elixir or of the protocols that did not change is sent.
    assert.truthy(shipped.bytes < 200000, shipped.bytes)
    assert.equal(compared.bytes, shipped.bytes)
    assert.same({ compared.bytes, compared.bytes }, seen[#seen])
    assert.equal("", sh "ls -dA lib/.ship* releases/.ship* 2>/dev/null")
    local again = assert(ship.compare(node, new))
    assert.is_true(again.has_version)
    assert.same({ 0, 0 }, { again.files, again.bytes })
    assert.same({}, assert(ship.send(node, again)).folders)
    assert(ship.take_back(node, shipped))
    assert.equal(before, tree())
  end)

  it("takes a tarball as its folder", function()
    sh("tar -czf ../target.tar.gz *", target)
    local packed = assert(release_of.open(target .. ".tar.gz"))
    local compared = assert(ship.compare(node, packed))
    assert.equal(lines_of(assert(ship.compare(node, new))), lines_of(compared))
    local shipped = assert(ship.send(node, compared))
    for _, what in ipairs(shipped.folders) do assert.equal(sums(target, what), sums(running.root, what)) end
    assert(ship.take_back(node, shipped))
  end)

  it("gives files and folders the rights that those of the running release have", function()
    sh "chmod 750 releases/1.0.0 lib/shop-1.0.0; chmod 640 releases/1.0.0/*.rel releases/1.0.0/*.config"
    local release = copy("rights", [[chmod 777 lib/shop-2.0.0/priv/*; chmod 4755 releases/2.0.0/elixir
      chmod 666 releases/2.0.0/sys.config]])
    local shipped = assert(ship.send(node, assert(ship.compare(node, release))))
    assert.equal("750\n750\n640\n640\n755\n", sh [[stat -c %a releases/2.0.0 lib/shop-2.0.0 releases/2.0.0/shop.rel \
      releases/2.0.0/sys.config releases/2.0.0/elixir]])
    assert.equal(sh "stat -c '%u %g' releases/1.0.0/elixir", sh "stat -c '%u %g' releases/2.0.0/elixir")
    assert(ship.take_back(node, shipped))
    sh "chmod 755 releases/1.0.0 lib/shop-1.0.0; chmod 644 releases/1.0.0/*.rel releases/1.0.0/*.config"
  end)

  it("names what lies there under the same version with other content", function()
    local before = tree()
    local compared = assert(ship.compare(node, assert(release_of.open(built .. "/shop-2.0.0"))))
    local names = {}
    for name in pairs(compared.rename) do names[#names + 1] = name end
    assert.same({ "stock" }, names)
    local _, message, code = ship.send(node, compared)
    assert.equal("same_version", code)
    assert.matches("stock under the same version with other content", message, 1, true)
    local other = folder .. "/running"
    assert(os.execute(("cp -r %s/shop-1.0.0 %s && printf x >>%s/releases/1.0.0/vm.args"):format(built, other, other)))
    local _, why, running_code = ship.compare(node, assert(release_of.open(other)))
    assert.equal("same_version", running_code)
    assert.matches("runs 1.0.0 already, with other content. --version-suffix", why, 1, true)
    assert.equal(before, tree())
  end)

  it("refuses a version that lies there with other content, and says how it goes", function()
    local shipped = assert(ship.send(node, assert(ship.compare(node, new))))
    local release = copy("other", "printf '%% x\n' >>releases/2.0.0/vm.args")
    local _, message, code = ship.compare(node, release)
    assert.equal("stale", code)
    assert.matches("releases/2.0.0 lies on .* already, with other content: releases/2.0.0/vm.args. `remove 2.0.0`", message)
    assert(ship.take_back(node, shipped))
  end)

  it("takes what release_handler has unpacked, which deletes the .rel file of mix, for what it is", function()
    local shipped = assert(ship.send(node, assert(ship.compare(node, new))))
    sh "rm releases/2.0.0/shop.rel"
    assert.is_true(assert(ship.compare(node, new)).has_version)
    sh "rm releases/2.0.0/vm.args"
    assert.equal("stale", select(3, ship.compare(node, new)))
    assert(ship.take_back(node, shipped))
  end)

  it("lets one of two win, and names the first to the other", function()
    local compared = assert(ship.compare(node, new))
    local before = tree()
    local other = assert(connect(running.name, { cookie = running.cookie, epmd_port = running.epmd_port }))
    local sending = assert(require("edeliver.relup.deploy.sending").begin(other, compared))
    local _, message, code = ship.send(node, compared)
    assert.equal("busy", code)
    assert.matches("Another deploy, started by .* as <", message)
    assert(sending:close())
    assert.equal(before, tree())
    assert(ship.take_back(node, assert(ship.send(node, compared))))
    other:close()
  end)

  it("leaves nothing where a file changes while it is sent", function()
    local release, path = large(8)
    local before = tree()
    local compared = assert(ship.compare(node, release))
    local done
    local _, message, code = ship.send(node, compared, { progress = function()
      if not done then sh("printf x >>lib/shop-2.0.0/priv/noise", path) end
      done = true
    end })
    assert.equal("changed", code)
    assert.matches("noise has changed while it was sent", message, 1, true)
    assert.equal(before, tree())
    compared = assert(ship.compare(node, release))
    sh("printf y | dd of=lib/shop-2.0.0/priv/noise bs=1 seek=5000000 conv=notrunc", path)
    _, message, code = ship.send(node, compared)
    assert.equal("changed", code)
    assert.matches("lib/shop-2.0.0/priv/noise is not what it was when it was compared", message, 1, true)
    assert.equal(before, tree())
  end)

  it("goes on where it was cut off, or starts anew where the release is another by now", function()
    local release, path = large(24)
    local before = tree()
    local compared = assert(ship.compare(node, release))
    local other = assert(connect(running.name, { cookie = running.cookie, epmd_port = running.epmd_port }))
    local _, message = ship.send(other, compared, { progress = function(sent) if sent > 12 << 20 then other:close() end end })
    assert.matches("what was sent so far is left in .*/lib/.ship%-%x+ and .*the next deploy continues with it", message)
    local left = tonumber(sh "cat lib/.ship-*/shop-2.0.0/priv/noise | wc -c")
    assert.truthy(left > 8 << 20, left)
    assert(process.wait_until(function() return running:eval "whereis(edeliver_relup_ship)" == "undefined" end, 5000))
    local first, least
    local shipped = assert(ship.send(node, assert(ship.compare(node, release)), { progress = function(sent, all)
      first, least = first or sent, math.min(least or all, all)
    end }))
    assert.truthy(first > 8 << 20, first)
    assert.equal(sums(path, "lib/shop-2.0.0"), sums(running.root, "lib/shop-2.0.0"))
    assert(ship.take_back(node, shipped))
    -- The same again, but what was cut off is of another release.
    other = assert(connect(running.name, { cookie = running.cookie, epmd_port = running.epmd_port }))
    ship.send(other, compared, { progress = function(sent) if sent > 12 << 20 then other:close() end end })
    assert.truthy(sh "ls -dA lib/.ship*":find "ship")
    assert(process.wait_until(function() return running:eval "whereis(edeliver_relup_ship)" == "undefined" end, 5000))
    assert(ship.take_back(node, assert(ship.send(node, assert(ship.compare(node, new))))))
    assert.equal(before, tree())
  end)

  it("takes links within an application, and refuses those that lead out of it", function()
    local inside = copy("links", "ln -s labels.txt lib/shop-2.0.0/priv/link")
    local shipped = assert(ship.send(node, assert(ship.compare(node, inside))))
    assert.equal("labels.txt\n", sh "readlink lib/shop-2.0.0/priv/link")
    assert(ship.take_back(node, shipped))
    local outside = copy("links", "ln -s ../../stock-0.1.0 lib/shop-2.0.0/priv/link")
    local _, message, code = ship.compare(node, outside)
    assert.equal("refused", code)
    assert.matches("lib/shop-2.0.0/priv/link is a link that leads out of its application's folder", message, 1, true)
  end)

  it("refuses names that no sane release has", function()
    local release = copy("names", "printf x >\"lib/shop-2.0.0/priv/a\27b\"")
    local _, message, code = ship.compare(node, release)
    assert.equal("refused", code)
    assert.matches("the name of lib/shop-2.0.0/priv/a", message, 1, true)
    assert.is_nil(message:find "\27")
  end)

  it("sends thousands of small files, and the same content once", function()
    local release = copy("many", [[mkdir lib/shop-2.0.0/priv/many && cd lib/shop-2.0.0/priv/many &&
      for i in $(seq 5000); do echo "file $((i % 2500))" >$i; done]])
    local compared = assert(ship.compare(node, release))
    local shipped = assert(ship.send(node, compared))
    assert.equal("5000\n", sh "ls lib/shop-2.0.0/priv/many | wc -l")
    assert.equal("file 1\n", sh "cat lib/shop-2.0.0/priv/many/2501")
    assert.truthy(shipped.ms < 20000, shipped.ms)
    assert(ship.take_back(node, shipped))
  end)

  it("packs what it sends where the link is slow", function()
    local sending = require "edeliver.relup.deploy.sending"
    local release, path = copy("text", "for i in $(seq 20000); do echo line of a text; done >lib/shop-2.0.0/priv/text")
    local before, compared = tree(), assert(ship.compare(node, release))
    local now = assert(sending.begin(node, compared))
    now.packs = true
    assert(now:run())
    assert(now:close())
    assert.truthy(now.arrived < compared.bytes / 2, now.arrived)
    assert.equal(compared.bytes, now.sent)
    assert.equal(sums(path, "lib/shop-2.0.0"), sums(running.root, "lib/shop-2.0.0"))
    assert(ship.take_back(node, { folders = { "lib/shop-2.0.0", "releases/2.0.0" }, where = compared.where }))
    assert.equal(before, tree())
  end)

  it("never takes back what is used by now", function()
    local shipped = assert(ship.send(node, assert(ship.compare(node, new))))
    assert(running:eval(("code:add_pathz(\"%s/lib/shop-2.0.0/ebin\")"):format(running.root)))
    local _, message, code = ship.take_back(node, shipped)
    assert.equal("left", code)
    assert.matches("left on .*: lib/shop%-2.0.0 %(in_use%)", message)
    assert(running:eval(("code:del_path(\"%s/lib/shop-2.0.0/ebin\")"):format(running.root)))
    assert(ship.take_back(node, shipped))
  end)

  it("looks first whether there is room, and the right to write", function()
    local function node_with(free, forbidden)
      return setmetatable({ run = function(_, name, ...)
        if name ~= "room" then return node:run(name, ...) end
        return term.tuple { free, term.list(forbidden) }
      end }, { __index = node })
    end
    assert.equal("no_room", select(3, ship.compare(node_with(1000, {}), new)))
    assert.equal("no_rights", select(3, ship.compare(node_with(1 << 40, { running.root .. "/lib" }), new)))
  end)
end)
