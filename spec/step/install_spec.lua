-- The install by itself, on real releases: what it refuses before anything is touched, and what it says when it went wrong.

local chat = require "support.chat"
local clients = require "support.clients"
local install = require "edeliver.relup.step.install"
local process = require "support.process"
local relup = require "edeliver.relup"
local relup_on = require "edeliver.relup.otp.relup"
local release_handler = require "edeliver.relup.otp.release_handler"
local shared = require "support.shared"
local term = require "edeliver.relup.term"

local atom = term.atom

describe("install", function()
  local node, lines
  local release = shared(chat.start, { next = { "2.0.0", "2.0.1-early" } })
  setup(function() node = release:connect() end)
  teardown(function() node:close() end)

  before_each(function() lines = {} end)

  local function run(version, options, engine)
    return relup.sequence { relup.install(options) }:run(node, {
      name = "chat", version = version, journal = false, engine = engine,
      log = function(level, text) lines[#lines + 1] = level .. ": " .. text end,
    })
  end

  local function statuses()
    local found = {}
    for _, entry in ipairs(assert(release_handler.which_releases(node))) do found[entry.version] = entry.status end
    return found
  end

  it("raises for options that it does not have", function()
    assert.has_error(function() relup.install { version = "1" } end, 'install has no option "version"')
  end)

  it("refuses a version that the node does not have, and says what to do", function()
    local report, message, unfinished = run "9.9.9"
    assert.is_nil(report)
    assert.equal("no_such_release", unfinished.code)
    assert.matches("has no release 9.9.9: it knows 1.0.0 %(permanent%), and there is no tarball releases/chat%-9.9.9.tar.gz or "
      .. "releases/9.9.9/chat.tar.gz. Bring the tarball to the node with `upload`", message)
  end)

  it("refuses the version that runs", function()
    local report, message, unfinished = run "1.0.0"
    assert.is_nil(report)
    assert.matches("runs 1.0.0 already", message)
    assert.equal("already_installed", unfinished.code)
  end)

  it("refuses what check_install_release refuses", function()
    local report, message = run "2.0.1-early"
    assert.is_nil(report)
    assert.matches("install %(prepare%) failed: check_install_release: .*chat_upgrade_fails", message)
    assert.equal("1.0.0", statuses()["1.0.0"] == "permanent" and "1.0.0")
  end)

  it("finds the relup that release_handler takes, on the way up and down", function()
    run "2.0.0"
    assert.equal("current", statuses()["2.0.0"])
    local up = assert(relup_on.read(node, "1.0.0", "2.0.0"))
    assert.is_true(up.up)
    assert.equal(release.root .. "/releases/2.0.0/relup", up.path)
    assert.equal(process.read_file(up.path), up.text)
    local down = assert(relup_on.read(node, "2.0.0", "1.0.0"))
    assert.is_false(down.up)
    assert.equal(up.path, down.path)
    assert.is_false(term.equal(up.script, down.script))
    local none, message, code = relup_on.read(node, "2.0.0", "3.0.0")
    assert.is_nil(none)
    assert.equal("no_matching_relup", code)
    assert.matches("no relup on .* leads from 2.0.0 to 3.0.0", message)
    assert(run "1.0.0")
  end)

  it("says before make_permanent who still runs old code", function()
    assert(run "2.0.0")
    assert(run "1.0.0")
    -- A process that sits in a function of the code that is about to be old.
    local pid = node:call("erlang", "spawn", { atom "chat_http", atom "work", term.list { "/slow", 60000 } })
    assert(run("2.0.0", { permanent = true }, "otp"))
    assert.equal("permanent", statuses()["2.0.0"])
    local text = table.concat(lines, "\n")
    assert.matches("warning: make_permanent: 1 process: %[" .. tostring(pid):gsub("%p", "%%%0")
      .. "%] run old code of chat_http, and end when the release is made permanent if its post%-purge is brutal_purge", text)
    assert.matches("1.0.0 %-> 2.0.0", text)
    assert.matches(node.name .. " starts with 2.0.0 from now on", text, 1, true)
    assert.is_false(node:call("erlang", "is_process_alive", { pid }))
  end)

  it("tells a node that restarted from one that refused", function()
    local other <close> = chat.start { next = { "2.0.1-late" } }
    local connected <close> = other:connect()
    local sockets <close> = clients.start()
    sockets:open { port = other.ports.endpoint, count = 1 }
    local report, message, unfinished = relup.sequence { "install" }:run(connected, {
      name = "chat", version = "2.0.1-late", journal = false, log = function() end,
    })
    assert.is_nil(report)
    assert.equal("restarted", unfinished.code)
    assert.is_true(unfinished.restarted)
    assert.matches("restarted while 2.0.1%-late was installed, and runs 1.0.0 now", message)
  end)

  it("can be done without a run, by hand", function()
    local ctx = require("edeliver.relup.step.context").new {
      node = node, name = "chat", config = { version = "1.0.0" }, logger = function() end,
    }
    assert.equal("2.0.0", assert(install.prepare(node, "1.0.0", ctx)))
    assert.equal("2.0.0 -> 1.0.0", assert(install.perform(node, ctx, {})))
  end)
end)
