-- An install by the swap, on a real release with open sockets: the relup's instructions in one stop, and the relup as it was.

local chat = require "support.chat"
local clients = require "support.clients"
local process = require "support.process"
local relup = require "edeliver.relup"
local shared = require "support.shared"
local term = require "edeliver.relup.term"

local STEPS = {
  "check_processes_running_old_code", "check_ranch_acceptors", "check_ranch_connections",
  "suspend_ranch_acceptors", "suspend_channels", "finish_running_requests",
  relup.install(),
  "rerun_failed_requests", "resume_channels", "resume_ranch_acceptors",
}
local SOCKETS = 60

describe("config.engine", function()
  local node, sockets
  local release = shared(chat.start, { next = { "2.1.0", "2.0.1-late" } })
  setup(function()
    node = release:connect()
    sockets = clients.start()
    sockets:open { port = release.ports.endpoint, count = SOCKETS, interval = 500 }
  end)

  teardown(function()
    node:close()
    sockets:stop()
  end)

  local function run(version, fields)
    local config = { name = "chat", version = version, engine = "swap", journal = false, log = function() end }
    for name, value in pairs(fields or {}) do config[name] = value end
    return relup.sequence(STEPS):run(node, config)
  end

  local function text_of_relup(version)
    return node:call("file", "read_file", { term.charlist(("%s/releases/%s/relup"):format(release.root, version)) })
  end

  local function check(version)
    local served = sockets:get(release.ports.endpoint, "/")
    assert.matches("^200 " .. version:gsub("%.", "%%."), sockets:body(served, 5000))
    sockets:hang_up()
    local stats = sockets:stats()
    assert.equal(SOCKETS, stats.open)
    assert.equal(0, stats.reconnects)
    assert.equal(0, #assert(node:suspended()))
    local gone = term.atom "undefined"
    assert(process.wait_until(function()
      return node:call("erlang", "whereis", { term.atom "edeliver_relup_swap" }) == gone
    end, 10000), "the swap is still there")
  end

  it("swap: up and down in one stop each, channels and all", function()
    local log = {}
    local report = assert(run("2.1.0", { rehearse = "all", log = function(_, text) log[#log + 1] = text end }))
    assert.matches("code_change of .* was rehearsed", table.concat(log, "\n"))
    check "2.1.0"
    assert.equal(1, #report.swap)
    assert.equal(SOCKETS + 1, report.swap[1].processes)
    local before = assert(text_of_relup "2.1.0")[2]
    assert.matches("swapped in %d+%.%d ms %(suspend %d", tostring(report))
    assert.matches("suspend,", before, 1, true)
    local down = assert(run "1.0.0")
    check "1.0.0"
    assert.equal("ok", down.swap[1].outcome)
    assert.equal(before, assert(text_of_relup "2.1.0")[2])
    assert(run "2.1.0")
    check "2.1.0"
    assert(run "1.0.0")
    check "1.0.0"
  end)

  for _, engine in ipairs { "otp", "swap" } do
    it(engine .. ": what is put at the head of the script runs before all else, and the relup is as it was", function()
      local before = assert(text_of_relup "2.1.0")[2]
      local head = assert(relup.consult.parse "{apply,{application,set_env,[chat,from_the_head,true]}}.")[1]
      local steps = table.move(STEPS, 1, #STEPS, 1, {})
      table.insert(steps, 1, {
        name = "add", run = function() return true end,
        prepare = function(_, ctx) ctx.additions = { head = { head } } return true end,
      })
      assert(relup.sequence(steps):run(node, {
        name = "chat", version = "2.1.0", engine = engine, journal = false, log = function() end,
      }))
      check "2.1.0"
      assert.equal("{ok,true}", tostring(node:call("application", "get_env", { term.atom "chat", term.atom "from_the_head" })))
      assert.equal(before, assert(text_of_relup "2.1.0")[2])
      assert(run "1.0.0")
      check "1.0.0"
    end)
  end

  it("swap: a dry run touches nothing", function()
    local before = assert(text_of_relup "2.1.0")[2]
    assert(run("2.1.0", { dry_run = true }))
    assert.equal(before, assert(text_of_relup "2.1.0")[2])
    check "1.0.0"
  end)

  it("swap: a process that cannot be suspended refuses the install, and nothing has changed", function()
    local holder = assert(node:eval [=[
      Me = self(),
      Holder = spawn(fun() -> erlang:suspend_process(whereis(chat_counter)), Me ! held, receive go -> ok end end),
      receive held -> Holder end.]=])
    local report, message, unfinished = run("2.1.0", { code_change_timeout = 300 })
    assert(node:call("erlang", "exit", { holder, term.atom "kill" }))
    assert.is_nil(report)
    assert.matches("suspend", message)
    assert.equal("refused", unfinished.swap[1].outcome)
    assert.equal(0, #unfinished.still_suspended)
    check "1.0.0"
    assert(run "2.1.0")
    assert(run "1.0.0")
    check "1.0.0"
  end)

  it("swap: requests end while sockets still run, and none is waited for afterwards", function()
    local steps = table.move(STEPS, 1, #STEPS, 1, {})
    local answer
    local seen = 0
    table.insert(steps, 4, { name = "ask", run = function()
      answer = sockets:get(release.ports.endpoint, "/slow?ms=800")
      local site = assert(require("edeliver.relup.web").find(node, "chat"))
      return process.wait_until(function() return #site:requests() == 1 end, 5000)
    end, section = "check" })
    for _, version in ipairs { "2.1.0", "1.0.0" } do
      local report = assert(relup.sequence(steps):run(node, {
        name = "chat", version = version, engine = "swap", journal = false, log = function() end,
      }))
      local results = {}
      for _, step in ipairs(report.steps) do results[step.name] = step.result end
      -- On a busy machine the request may have ended before anybody looks, or run on for longer than anybody waits.
      assert.matches("60 websockets suspended", results.suspend_channels)
      local finished = results.finish_running_requests
      local waited = tonumber(finished:match "waited (%d+) ms")
      assert.is_true(finished == "no running requests" or waited ~= nil and waited < 300, finished)
      seen = seen + (results.suspend_channels:find "after a wait of %d+ ms for 1 running request" and 1 or 0)
      assert.matches("^200 .* slow", sockets:body(answer, 5000))
      sockets:hang_up()
      check(version)
    end
    assert.is_true(seen > 0)
  end)

  describe('with config.target = "none"', function()
    it("is refused where a process has to be changed, and nothing has changed", function()
      local report, message, unfinished = run("2.1.0", { target = "none" })
      assert.is_nil(report)
      assert.equal("needs_suspend", unfinished.code)
      assert.matches("suspends nobody, but the code of running processes changes: 1 process of chat_counter", message)
      check "1.0.0"
      report, message = run("2.1.0", { target = "none", engine = "otp" })
      assert.is_nil(report)
      assert.matches('config.target = "none" needs the swap', message, 1, true)
    end)

    it("suspends nobody and stops no acceptor, where loading is enough", function()
      local path = term.charlist(release.root .. "/releases/2.1.0/relup")
      local before = assert(text_of_relup "2.1.0")[2]
      local function entry(version, from)
        return ('[{"%s",[],[{load_object_code,{chat,"%s",[chat_http]}},point_of_no_return,{load,{chat_http,brutal_purge,'
          .. 'brutal_purge}}]}]'):format(from, version)
      end
      local text = ('{"2.1.0",%s,%s}.\n'):format(entry("2.1.0", "1.0.0"), entry("1.0.0", "1.0.0"))
      assert(node:call("file", "write_file", { path, text }))
      finally(function() node:call("file", "write_file", { path, before }) end)
      for _, version in ipairs { "2.1.0", "1.0.0" } do
        local report = assert(run(version, { target = "none" }))
        assert.equal(0, report.suspended)
        assert.is_nil(report.stood_still_ms)
        assert.equal(0, report.swap[1].processes)
        check(version)
      end
    end)
  end)

  it("is one of two, and goes with run alone", function()
    assert.has_error(function() run("2.1.0", { engine = "steam" }) end, 'config.engine is "otp" or "swap", not "steam"')
    assert.has_error(function() run("2.1.0", { on_failed_code_change = "hope" }) end,
      'config.on_failed_code_change is "rollback" or "restart", not "hope"')
    assert.has_error(function() run("2.1.0", { rehearse = "some" }) end,
      'config.rehearse is a number of processes, or "all", not "some"')
    assert.error_matches(function()
      relup.sequence(STEPS):install(node, { name = "chat", version = "2.1.0", engine = "swap" })
    end, "goes with run")
  end)
end)
