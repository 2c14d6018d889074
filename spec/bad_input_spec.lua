-- What operators get wrong, and what the world does to them: each has a clear error with a code, leaves nothing suspended,
-- leaks no descriptor, and the connection stays usable where it can.

local relup = require "edeliver.relup"
local shared = require "support.shared"
local term = require "edeliver.relup.term"
local chat = require "support.chat"
local leaks = require "support.leaks"
local process = require "support.process"

describe("bad input", function()
  local node, options
  local release = shared(chat.start)
  setup(function()
    options = { cookie = release.cookie, epmd_port = release.epmd_port, timeout = 15000 * process.patience }
    node = assert(relup.connect(release.name, options))
  end)

  teardown(function() node:close() end)

  local open
  before_each(function() open = leaks.count_descriptors() end)

  after_each(function()
    assert.is_true(open > 0)
    assert.equal(open, leaks.count_descriptors())
    assert.equal(0, release:suspended())
    assert.equal(release.name, node:call("erlang", "node").name)
  end)

  local function refused(name, changes, expected_code, ...)
    local given = {}
    for option, value in pairs(options) do given[option] = value end
    for option, value in pairs(changes) do given[option] = value end
    local connected, message, code = relup.connect(name, given)
    assert.is_nil(connected)
    assert.equal(expected_code, code)
    for _, word in ipairs { ... } do assert.matches(word, message, 1, true) end
    assert.is_nil(message:find(release.cookie, 1, true))
  end

  it("tells a wrong cookie", function() refused(release.name, { cookie = "wrong" }, "auth", release.name, "cookie") end)

  it("tells a node that is down", function() refused("nobody@127.0.0.1", {}, "nodedown", "nobody") end)

  it("tells a name without host", function() refused("chat", {}, "badarg", "chat") end)

  it("tells that no epmd answers", function() refused(release.name, { epmd_port = 1 }, "no_epmd", "epmd") end)

  it("tells a port that nobody listens on", function() refused(release.name, { port = 1 }, "refused", "port 1") end)

  -- A process that has died, one that never answers, one that is fine.
  local function three()
    return {
      assert(node:eval("P = spawn(fun() -> ok end), M = monitor(process, P), receive {'DOWN', M, _, _, _} -> P end.")),
      assert(node:eval("spawn(fun() -> receive stop -> ok end end).")),
      assert(node:eval("{ok, P} = gen_event:start(), P.")),
    }
  end

  it("tells dead and silent processes apart in one deadline, while the others are asked", function()
    local pids = three()
    local started = process.now()
    local answer, count, errors = node:bulk_suspend(pids, 1500)
    local took = process.now() - started
    assert.equal("errors", answer)
    assert.equal(2, count)
    assert.same({ { pid = pids[1], reason = "noproc" }, { pid = pids[2], reason = "timeout" } }, errors)
    -- The deadline is counted in whole milliseconds, and its beginning in parts of one.
    assert.is_true(took >= 1498 and took < 1500 + 10000 * process.patience, "took " .. took)
    assert.equal(1, #node:suspended(pids))
    assert.equal("errors", (node:bulk_resume(pids, 300)))
    node:call("erlang", "exit", { pids[2], term.atom "kill" })
  end)

  it("says not_supported where every single one is dead or silent", function()
    local pids = three()
    local answer, count = node:bulk_suspend({ pids[1], pids[2] }, 100)
    assert.equal("not_supported", answer)
    assert.equal(2, count)
    node:call("erlang", "exit", { pids[2], term.atom "kill" })
  end)

  it("refuses pids of another node before it asks anybody", function()
    local other = term.types.new_opaque("pid", "Xw\7other@h" .. string.pack(">I4I4I4", 1, 0, 1))
    local pids = { three()[3], other }
    for _, method in ipairs { "owns", "bulk_suspend", "bulk_resume", "suspended" } do
      local answer, message, code = node[method](node, pids)
      assert.same({ nil, "badarg" }, { answer, code })
      assert.matches("one is of other@h", message)
    end
    assert.same({ nil, "badarg" }, { node:process_info(pids, { "links" }), (select(3, node:process_info(pids, { "links" }))) })
    assert.equal(0, #node:suspended())
  end)

  local function upgrade(config, steps)
    local lines = {}
    config.log = function(level, text) lines[#lines + 1] = level .. ": " .. text end
    local report, message, failed = relup.sequence(steps or { relup.install() }):run(node, config)
    assert.is_nil(report)
    assert.is_false(failed.ok)
    assert.same({}, failed.still_suspended)
    return message, failed
  end

  it("tells an application that does not run", function()
    local message, failed = upgrade({ name = "chatt" }, {
      "check_ranch_acceptors", "suspend_ranch_acceptors", "suspend_channels", "resume_channels", "resume_ranch_acceptors",
    })
    assert.matches("chatt", message, 1, true)
    assert.equal("not_running", failed.code)
  end)

  it("tells a version that is not there, which ones are, and what to do", function()
    local message, failed = upgrade { name = "chat", version = "9.9.9" }
    assert.matches("9.9.9", message, 1, true)
    assert.matches("1.0.0 (permanent)", message, 1, true)
    assert.matches("releases/chat-9.9.9.tar.gz", message, 1, true)
    assert.equal("no_such_release", failed.code)
  end)

  it("tells a version that runs already", function()
    local message, failed = upgrade { name = "chat", version = "1.0.0" }
    assert.matches("runs 1.0.0 already", message, 1, true)
    assert.equal("already_installed", failed.code)
  end)

  it("raises for a configuration that says too little", function()
    local sequence = relup.sequence { relup.install() }
    assert.has_error(function() sequence:run(node, { name = "chat" }) end)
    assert.has_error(function() sequence:run(node) end)
    assert.has_error(function() relup.install { permanentt = true } end)
    assert.has_error(function() relup.sequence {} end)
    assert.has_error(function() relup.sequence { "no_such_step" } end)
  end)
end)
