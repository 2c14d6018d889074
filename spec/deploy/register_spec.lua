-- A release on the disk of a real node, a plain mix release without RELEASES: known to release_handler, and removed again.

local connect = require("edeliver.relup.node").connect
local context = require "edeliver.relup.step.context"
local process = require "support.process"
local program = require "cli.program"
local register = require "edeliver.relup.deploy.register"
local release_of = require "edeliver.relup.release"
local release_handler = require "edeliver.relup.otp.release_handler"
local releases = require "support.releases"

describe("deploy.register", function()
  local folder, built, running, node, new, lines, ctx

  setup(function()
    folder, built = process.temporary_folder(), releases.built()
    running = releases.start(releases.copy("1.0.0", folder))
    node = assert(connect(running.name, { cookie = running.cookie, epmd_port = running.epmd_port }))
    new = assert(release_of.open(built .. "/shop-2.0.0"))
  end)
  teardown(function()
    if node then node:close() end
    if running then running:stop() end
    process.remove_folder(folder)
  end)

  local function sh(command) return (process.output(("cd %s && { %s; } 2>&1"):format(process.quote(running.root), command))) end
  local function tree() return sh "find . -path ./tmp -prune -o -print | LC_ALL=C sort" end
  local function read(name) return process.read_file(running.root .. "/releases/" .. name) end
  local function known()
    local found, libraries = assert(release_handler.which_releases(node))
    return release_handler.describe(found), libraries
  end
  -- As ship brings it: what the node lacks.
  local function bring()
    sh(("cp -rn %s/shop-2.0.0/lib . && cp -r %s/shop-2.0.0/releases/2.0.0 releases/"):format(built, built))
  end
  local function same_handler() return assert(running:eval "whereis(sasl_sup)") end

  before_each(function()
    lines = {}
    ctx = context.new { node = node, logger = function(level, text) lines[#lines + 1] = level .. ": " .. text end }
  end)

  it("makes RELEASES, starts release_handler again and tells it, and takes all of it back", function()
    local before, sup = tree(), same_handler()
    bring()
    local relup = '%% up and down\n{"2.0.0",[{"1.0.0",[],[point_of_no_return]}],[{"1.0.0",[],[point_of_no_return]}]}.\n'
    local brought = tree()
    local registered = assert(register.add(node, new, { relup = relup, ctx = ctx }))
    assert.equal("added", registered.how)
    assert.is_true(registered.made_releases)
    local words, libraries = known()
    assert.equal("2.0.0 (unpacked), 1.0.0 (permanent)", words)
    assert.truthy(#libraries["1.0.0"] > 4 and #libraries["2.0.0"] > 4)
    assert.equal(relup, read "2.0.0/relup")
    assert.equal(sh "stat -c '%a %u %g' releases/2.0.0/shop.rel", sh "stat -c '%a %u %g' releases/2.0.0/relup")
    assert.equal(sup, same_handler())
    assert.equal('{ok,"1.0.0",[]}', assert(running:eval 'release_handler:check_install_release("2.0.0")'))
    assert.is_nil(read "2.0.0/relup.new")
    assert(register.take_back(node, registered))
    assert.equal("1.0.0 (permanent)", known())
    assert.equal(brought, tree())
    assert.same({ "lib/shop-2.0.0", "releases/2.0.0" }, assert(register.remove(node, "2.0.0")))
    assert.equal(before, tree())
  end)

  it("keeps the relup that was there, and only replaces it where the release is known", function()
    bring()
    sh "printf first >releases/2.0.0/relup"
    local one = assert(register.add(node, new, { relup = "second", ctx = ctx }))
    assert.equal("second", read "2.0.0/relup")
    assert.equal("first", read "2.0.0/relup.before")
    local two = assert(register.add(node, new, { relup = "third", ctx = ctx }))
    assert.equal("known", two.how)
    assert.equal("third", read "2.0.0/relup")
    assert(register.take_back(node, two))
    assert.equal("second", read "2.0.0/relup")
    assert.equal("2.0.0 (unpacked), 1.0.0 (permanent)", known())
    one.before = "none"
    assert(register.take_back(node, one))
    assert.is_nil(read "2.0.0/relup")
    assert(register.remove(node, "2.0.0"))
  end)

  it("changes nothing where a library is not there", function()
    bring()
    sh "rm -rf lib/shop-2.0.0"
    local before, knew = tree(), known()
    local _, message, code = register.add(node, new, { relup = "x", ctx = ctx })
    assert.equal("missing", code)
    assert.matches("lib/shop-2.0.0 of 2.0.0 is not on " .. node.name, message, 1, true)
    assert.equal(before, tree())
    assert.equal(knew, known())
    assert(register.remove(node, "2.0.0"))
  end)

  it("takes the release that the node starts with, where another runs", function()
    bring()
    local both_ways = '{"2.0.0",[{"1.0.0",[],[point_of_no_return]}],[{"1.0.0",[],[point_of_no_return]}]}.'
    assert(register.add(node, new, { relup = both_ways, ctx = ctx }))
    assert.equal("ok", running:eval [=[begin {ok, "1.0.0", _} = release_handler:install_release("2.0.0"),
      ok = release_handler:make_permanent("2.0.0"), {ok, "1.0.0", _} = release_handler:install_release("1.0.0"), ok end]=])
    assert.equal("known", assert(register.add(node, new, { relup = "y", ctx = ctx })).how)
    assert.equal("y", sh "cat releases/2.0.0/relup")
    assert.equal("ok", running:eval [=[release_handler:make_permanent("1.0.0")]=])
    local old = assert(release_of.open(built .. "/shop-1.0.0"))
    assert.equal("already_installed", select(3, register.add(node, old, { ctx = ctx })))
    assert(register.remove(node, "2.0.0"))
  end)

  it("refuses the release that runs, to be registered or removed", function()
    local old = assert(release_of.open(built .. "/shop-1.0.0"))
    local before = tree()
    assert.equal("already_installed", select(3, register.add(node, old, { relup = "x", ctx = ctx })))
    local _, message, code = register.remove(node, "1.0.0")
    assert.equal("in_use", code)
    assert.matches("1.0.0 is a release that .* runs or starts with: it stays", message)
    assert.equal("no_such_release", select(3, register.remove(node, "3.0.0")))
    for _, version in ipairs { "..", ".", "", "a/b", "../lib" } do
      assert.equal("badarg", select(3, register.remove(node, version)), version)
    end
    assert.equal((before:gsub("%./releases/RELEASES\n", "")), (tree():gsub("%./releases/RELEASES\n", "")))
  end)

  it("puts back the .rel file that unpack_release deletes", function()
    bring()
    local rel = sh "cat releases/2.0.0/shop.rel"
    assert(register.add(node, new, { relup = "x", ctx = ctx }))
    sh "rm releases/2.0.0/shop.rel"
    local again = assert(register.add(node, new, { relup = "y", ctx = ctx }))
    assert.equal("known", again.how)
    assert.same({ rel, "y" }, { sh "cat releases/2.0.0/shop.rel", sh "cat releases/2.0.0/relup" })
    assert.equal(sh "stat -c '%a %u %g' releases/2.0.0/start.boot", sh "stat -c '%a %u %g' releases/2.0.0/shop.rel")
    assert.equal("", sh "ls releases/2.0.0/*.new 2>/dev/null")
    assert(register.remove(node, "2.0.0"))
  end)

  it("tells release_handler anew of a release whose libraries are others by now", function()
    bring()
    assert(register.add(node, new, { relup = "x", ctx = ctx }))
    sh [[cp -r lib/shop-2.0.0 lib/shop-2.0.1 && sed -i 's/"2.0.0"/"2.0.1"/' lib/shop-2.0.1/ebin/shop.app &&
      sed -i 's/{shop,"2.0.0"/{shop,"2.0.1"/' releases/2.0.0/shop.rel]]
    local again = assert(register.add(node, new, { relup = "x", ctx = ctx }))
    assert.equal("replaced", again.how)
    local _, libraries = known()
    assert.matches("shop-2.0.1", table.concat(libraries["2.0.0"], " "), 1, true)
    assert.same({ "lib/shop-2.0.1", "releases/2.0.0" }, assert(register.remove(node, "2.0.0")))
    sh "rm -rf lib/shop-2.0.0"
  end)

  it("never removes a library that runs, where release_handler does not know whose it is", function()
    -- What release_handler knows after an install without RELEASES: nothing of what runs.
    bring()
    assert(register.add(node, new, { relup = "x", ctx = ctx }))
    sh "cp releases/RELEASES keep && rm releases/RELEASES"
    assert.equal("ok", running:eval [=[begin ok = supervisor:terminate_child(sasl_sup, release_handler),
      {ok, _} = supervisor:restart_child(sasl_sup, release_handler), ok end]=])
    assert.matches("ok", running:eval(('release_handler:set_unpacked("%s/releases/2.0.0/shop.rel", [])'):format(running.root)))
    local _, libraries = known()
    assert.same({}, libraries["1.0.0"])
    assert.same({ "lib/shop-2.0.0", "releases/2.0.0" }, assert(register.remove(node, "2.0.0", { dry = true })))
    assert.same({ "lib/shop-2.0.0", "releases/2.0.0" }, assert(register.remove(node, "2.0.0")))
    assert.truthy(sh "ls lib":find "elixir%-")
    sh "mv keep releases/RELEASES"
  end)

  it("is what `remove` does, also with a release that is only left on the disk", function()
    bring()
    local listed = program.json("NODE releases", { node = running })
    assert.equal(0, listed.code, listed.err)
    assert.same({ "2.0.0" }, listed.json.result.unknown)
    assert.equal(0, listed.json.result.cut_off)
    local removed = program.json("NODE remove 2.0.0", { node = running })
    assert.equal(0, removed.code, removed.err)
    assert.same({ "lib/shop-2.0.0", "releases/2.0.0" }, removed.json.result.deleted)
    local refused = program.run("NODE remove 1.0.0", { node = running })
    assert.equal(1, refused.code)
    assert.matches("it stays", refused.err)
  end)

  it("finds out where a release was written over the one that RELEASES was made for, and mends that", function()
    local root = folder .. "/over"
    process.shell("cp -r %s/shop-1.0.0 %s", built, root)
    local first = releases.start(root)
    assert.equal("ok", first:eval(('release_handler:create_RELEASES("", "%s/releases", "%s/releases/1.0.0/shop.rel", [])'):format(
      root, root)))
    first:stop()
    process.shell("cp -r %s/shop-2.0.0/. %s/", built, root)
    local over <close> = releases.start(root)
    local to <close> = assert(connect(over.name, { cookie = over.cookie, epmd_port = over.epmd_port }))
    local _, message, code = release_handler.current(to)
    assert.equal("stale_releases", code)
    assert.matches("was started as 2.0.0, and its release_handler knows only 1.0.0 %(permanent%)", message)
    local mended = program.run("NODE releases --mend", { node = over })
    assert.equal(0, mended.code, mended.err)
    assert.matches("runs 2.0.0. The old file is RELEASES.before.\n", mended.out, 1, true)
    assert.equal("2.0.0", assert(release_handler.current(to)).version)
    assert.equal(1, program.run("NODE releases --mend", { node = over }).code)
  end)
end)
