-- A deploy to a node with a web server: its websockets are suspended meanwhile, and none is lost; by the program and by
-- examples/deploy.lua. The release has a relup of its own, which is not used.

local chat = require "support.chat"
local clients = require "support.clients"
local process = require "support.process"
local program = require "cli.program"

describe("a deploy to a node with a web server", function()
  local release, sockets
  local tarball = chat.built() .. "/chat-2.0.0.tar.gz"

  setup(function()
    release = chat.start { next = {} }
    sockets = clients.open { port = release.ports.endpoint, count = 10, interval = 50 }
  end)
  teardown(function()
    sockets:stop()
    release:stop()
  end)

  it("suspends the websockets, and goes back, with every socket kept", function()
    local result = program.json(("NODE deploy %s"):format(tarball), { node = release })
    assert.equal(0, result.code, result.err)
    local given = result.json.result
    assert.equal(10, given.suspended)
    assert.equal(given.verified.modules, given.verified.equal)
    assert.same({}, given.lost)
    assert.equal("current", release:releases()["2.0.0"])
    local back = program.json("NODE rollback", { node = release })
    assert.equal(0, back.code, back.err)
    assert.equal(10, back.json.result.suspended)
    sockets:check_kept(10, "1.0.0", "2.0.0")
    assert.equal(0, release:suspended())
  end)

  it("says of a dry run that it touches nothing, and what it would send", function()
    local relup, lines = require "edeliver.relup", {}
    local node <close> = assert(relup.connect(release.name, { cookie = release.cookie, epmd_port = release.epmd_port }))
    local report = assert(relup.sequence({ relup.install { release = tarball } }):run(node, {
      dry_run = true, log = function(_, text) lines[#lines + 1] = text end,
    }))
    assert.is_true(report.ok)
    assert.matches("a deploy would send 0 files, 0 bytes", table.concat(lines, "\n"), 1, true)
    assert.equal("2.0.0", report.version)
  end)

  it("is examples/deploy.lua", function()
    local line = ("cd %s && LUA_PATH=%s LUA_CPATH=%s %s 2>&1"):format(process.quote(process.root), process.quote(package.path),
      process.quote(package.cpath), release:operator_command { "lua5.4", "examples/deploy.lua", release.name, tarball })
    local printed, succeeded = process.output(line)
    assert.truthy(succeeded, printed)
    assert.matches("chat on " .. release.name .. " to 2.0.0: done", printed, 1, true)
    assert.equal(0, sockets:drain().reconnects)
  end)

  it("asks for no websocket: plain requests are answered before and after it, on the same node", function()
    sockets:close()
    assert.equal(0, program.json("NODE rollback", { node = release }).code)
    local before = sockets:get(release.ports.endpoint, "/")
    assert.matches("^200 1%.0%.0", sockets:body(before, 5000))
    local given = program.json(("NODE deploy %s"):format(tarball), { node = release })
    assert.equal(0, given.code, given.err)
    assert.equal(0, given.json.result.suspended)
    assert.matches("^200 2%.0%.0", sockets:body(sockets:get(release.ports.endpoint, "/"), 5000))
  end)

  it("is carried out by the swap, and refused where another engine is asked for", function()
    local result = program.json(("NODE deploy %s --engine otp"):format(chat.built() .. "/chat-2.1.0.tar.gz"), { node = release })
    assert.equal(1, result.code)
    assert.matches("consolidated protocols, and children of supervisors", result.err, 1, true)
  end)

  it("takes only options that it has", function()
    local relup = require "edeliver.relup"
    assert.error_matches(function() relup.install { release = "x", forget_runtime_config = true } end,
      'install has no option "forget_runtime_config" where it deploys a release')
  end)
end)
