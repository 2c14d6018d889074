-- Nothing stays suspended, whatever happens, and wherever in a sequence: every accident at every step, on a real release with
-- a thousand websockets. After each, within the grace period and two seconds: nobody sits suspended, the listener accepts, the
-- sockets live where the node did, the guard is gone, and the journal tells the truth. Prints the matrix as a table.

local chat = require "support.chat"
local clients = require "support.clients"
local guard = require "edeliver.relup.undo.guard"
local journal = require "edeliver.relup.undo.journal"
local process = require "support.process"
local proxy = require "support.proxy"
local relup = require "edeliver.relup"
local term = require "edeliver.relup.term"

local LISTENER = term.atom "Elixir.Chat.Endpoint.HTTP"
local GRACE, SOCKETS, FEW = 300, 1000, 100

-- How many steps are done when a thing is owed, and when no longer.
local ACCEPTORS_STOPPED, CHANNELS_SUSPENDED, INSTALLED, CHANNELS_RESUMED, ACCEPTORS_RUN = 4, 5, 7, 9, 10
local STEPS = {
  [0] = "(nothing)", "check old code", "check acceptors", "check connections", "suspend acceptors", "suspend channels",
  "finish requests", "install", "rerun requests", "resume channels", "resume acceptors",
}

local rows = {} -- of the table: { fault, position, outcome, ms }

-- A release with sockets, a connection of our own that looks at it, and a folder for journals.
local function start_scene(count, options)
  local scene = { release = chat.start(options), clients = clients.start(), count = count, folder = process.temporary_folder() }
  scene.clients:open { port = scene.release.ports.endpoint, count = count, interval = 1000 }
  function scene:connect()
    return assert(relup.connect(self.release.name, { cookie = self.release.cookie, epmd_port = self.release.epmd_port }))
  end
  scene.node = scene:connect()
  function scene:stop()
    self.node:close()
    self.clients:stop()
    self.release:stop()
    process.remove_folder(self.folder)
  end
  return scene
end

local function current(scene)
  local releases = assert(require("edeliver.relup.otp.release_handler").which_releases(scene.node))
  local found
  for _, release in ipairs(releases) do
    if release.status == "current" or release.status == "permanent" and not found then found = release.version end
  end
  return found
end

local number = 0

-- Starts an operator's program; its process runs in the background.
local function operate(scene, options)
  number = number + 1
  -- What runs in the background of a shell has SIGINT ignored.
  local words = {
    "env", "--default-signal=INT", "lua5.4", process.root .. "/spec/support/operator.lua", "node=" .. scene.release.name,
    "cookie=" .. scene.release.cookie,
    "epmd_port=" .. scene.release.epmd_port, "grace=" .. (options.grace or GRACE),
  }
  local journal_path = ("%s/%d.jsonl"):format(scene.folder, number)
  local given = {
    version = options.version, fault = options.fault, after = options.after, mode = options.mode, port = options.port,
    lease = options.lease, wait = options.wait, journal = options.journal or journal_path,
    suspend_timeout = options.suspend_timeout, target = options.target, install_timeout = options.install_timeout,
    patience = options.patience,
  }
  for name, value in pairs(given) do words[#words + 1] = ("%s=%s"):format(name, value) end
  if options.file_limit then
    words = { "sh", "-c", ("trap '' XFSZ; ulimit -f %d; exec \"$@\""):format(options.file_limit), "sh", table.unpack(words) }
  end
  local env = { LUA_PATH = package.path, LUA_CPATH = package.cpath, USER = "ann" }
  local started = process.start { command = words, env = env }
  return { process = started, journal = journal_path, at_the_fault = function()
    return process.wait_until(function() return started:printed():find "at the fault" or started:exited() end, 20000)
  end }
end

local function wait_for_end(operator)
  local status = assert(process.wait_until(function() return operator.process:exited() end, 30000), "the operator hangs")
  local printed = operator.process:printed()
  operator.process:stop()
  return status, printed
end

local function acceptors(scene)
  local found = scene.node:call("ranch", "procs", { LISTENER, term.atom "acceptors" })
  local running = 0
  for _, pid in ipairs(found or {}) do running = running + (term.kind(pid) == "pid" and 1 or 0) end
  return running
end

-- Waits until nothing of the accident is left; gives the ms that it took.
local function wait_until_clean(scene, limit)
  local started, missing = process.now(), nil
  local clean = process.wait_until(function()
    local suspended = scene.node:suspended()
    local who = guard.who(scene.node)
    missing = ("%s suspended, guard %s, %d acceptors"):format(suspended and #suspended, who and who.status, acceptors(scene))
    return suspended and #suspended == 0 and who == false and acceptors(scene) == 100
  end, limit)
  assert(clean, "not clean after " .. limit .. " ms: " .. missing)
  return process.now() - started
end

-- The listener serves, and nobody has lost a socket.
local function check_served(scene, version)
  -- A listener that was started anew may have another port.
  local port = assert(scene.node:call("ranch", "get_port", { LISTENER }))
  local id = scene.clients:get(port, "/")
  assert.matches("^200 " .. version:gsub("%.", "%%."), scene.clients:body(id, 5000) or "no answer")
  scene.clients:hang_up()
  local stats = scene.clients:stats()
  assert.equal(scene.count, stats.open)
  assert.equal(0, stats.reconnects)
  assert.equal(0, stats.disorder)
end

local function outcome_of(printed) return printed:match "\nok\n" and "ok" or printed:match "\n(failed [%l_]+)" end

local function note(fault, position, outcome, ms)
  rows[#rows + 1] = { fault = fault, position = position, outcome = outcome, ms = ms }
end

local function owed_at(position)
  return position >= CHANNELS_SUSPENDED and position < CHANNELS_RESUMED,
    position >= ACCEPTORS_STOPPED and position < ACCEPTORS_RUN
end

-- What a journal must say: of a run that ended by itself, that nothing is owed; of one that was cut off, what it owed there.
local function check_journal(scene, operator, position, ended)
  local state = assert(journal.read(operator.journal))
  assert.equal(scene.release.name, state.node)
  if ended then
    assert.is_truthy(state.ended)
    assert.equal(0, #state.pids)
    assert.equal(0, #state.undos)
    return
  end
  local pids, undos = owed_at(position)
  assert.is_nil(state.ended)
  assert.equal(pids and scene.count or 0, #state.pids)
  assert.equal(undos, #state.undos > 0)
end

describe("the fault matrix", function()
  teardown(function()
    print "\n\naccident                         after                outcome                clean after"
    for _, row in ipairs(rows) do
      print(("%-32s %-20s %-22s %6.0f ms"):format(row.fault, row.position, row.outcome, row.ms))
    end
  end)

  describe("after an accident", function()
    local scene

    setup(function()
      scene = start_scene(SOCKETS, { next = { "2.0.0", "2.0.1-early" } })
      for _, version in ipairs { "2.0.0", "2.0.1-early" } do
        assert(scene.release:eval(("release_handler:unpack_release(\"chat-%s\")"):format(version)))
      end
    end)

    teardown(function()
      scene:stop()
    end)

    -- One accident at one place; the versions take turns, so that half of them happen on the way down.
    local function accident(fault, position, expected, ended, options)
      options = options or {}
      local before = current(scene)
      local version = before == "2.0.0" and "1.0.0" or "2.0.0"
      local operator = operate(scene, setmetatable({ version = version, fault = fault, after = position }, { __index = options }))
      local _, printed = wait_for_end(operator)
      assert.matches("at the fault", printed)
      if expected then assert.matches(expected, printed) end
      local ms = wait_until_clean(scene, (options.grace or GRACE) + 2000)
      local now = position >= INSTALLED and version or before
      assert.equal(now, current(scene))
      check_served(scene, now)
      check_journal(scene, operator, position, ended)
      note(fault, STEPS[position], expected and outcome_of(printed) or "killed", ms)
    end

    for position = 0, #STEPS do
      local where = "after step " .. position .. ", " .. STEPS[position] .. ": "
      it(where .. "SIGKILL", function() accident("kill", position, nil, false) end)
      it(where .. "os.exit", function() accident("exit", position, nil, false) end)
      it(where .. "SIGTERM", function() accident("term", position, "failed interrupted", true) end)
      it(where .. "SIGINT", function() accident("int", position, "failed interrupted", true) end)
      it(where .. "an error in a user's step", function() accident("error", position, "failed lua", true) end)
    end

    describe("with the steps inside the relup", function()
      -- Steps 4 to 6 stand right after the point of no return, 8 to 10 at the end of the script. What fails there cancels
      -- nothing, and the node must not restart.
      for _, case in ipairs {
        { fault = "kill", after = 2, installs = false }, { fault = "kill", after = 5, installs = true },
        { fault = "kill", after = 7, installs = true }, { fault = "exit", after = 6, installs = true },
        { fault = "error", after = 2, installs = false, expected = "failed" },
        { fault = "error", after = 5, installs = true, expected = "failed" },
        { fault = "error", after = 8, installs = true, expected = "failed" },
        { fault = "term", after = 5, installs = true, expected = "failed" },
      } do
        it(("after step %d, %s: %s"):format(case.after, STEPS[case.after], case.fault), function()
          local before = current(scene)
          local version = before == "2.0.0" and "1.0.0" or "2.0.0"
          local pid = scene.release:pid()
          local relup_path = scene.release.root .. "/releases/2.0.0/relup"
          local relup_before = process.read_file(relup_path)
          local operator = operate(scene, { version = version, fault = case.fault, after = case.after, mode = "install" })
          local _, printed = wait_for_end(operator)
          if case.expected then assert.matches(case.expected, printed) end
          local ms = wait_until_clean(scene, GRACE + 2000)
          local now = case.installs and version or before
          assert.equal(now, current(scene))
          assert.equal(pid, scene.release:pid())
          check_served(scene, now)
          assert.equal(relup_before, process.read_file(relup_path))
          note(case.fault .. " inside the relup", STEPS[case.after], outcome_of(printed) or "killed", ms)
        end)
      end
    end)

    describe("of the connection", function()
      local between

      setup(function()
        local port = assert(scene.release:eval [[
          [Name, Host] = string:split(atom_to_list(node()), "@"),
          {port, Port, _} = erl_epmd:port_please(Name, Host), Port]])
        between = proxy.start(port)
      end)

      teardown(function() between:stop() end)

      for _, position in ipairs { 3, 4, 5, 7, 9 } do
        it("after " .. STEPS[position] .. ": cut, and healed within the grace period", function()
          local before = current(scene)
          local version = before == "2.0.0" and "1.0.0" or "2.0.0"
          local operator = operate(scene, {
            version = version, fault = "listen", after = position, grace = 3000, port = between.port,
          })
          assert.truthy(operator.at_the_fault())
          between:cut()
          process.sleep(300)
          between:heal()
          local _, printed = wait_for_end(operator)
          assert.matches("failed nodedown", printed)
          local ms = wait_until_clean(scene, 2000)
          local now = position >= INSTALLED and version or before
          check_served(scene, now)
          check_journal(scene, operator, position, true)
          assert.is_nil(scene.release:printed():match("did not come back[^\n]*", -200))
          note("cut and healed", STEPS[position], outcome_of(printed), ms)
        end)

        it("after " .. STEPS[position] .. ": cut for longer than the grace period", function()
          local before = current(scene)
          local version = before == "2.0.0" and "1.0.0" or "2.0.0"
          local operator = operate(scene, { version = version, fault = "listen", after = position, port = between.port })
          assert.truthy(operator.at_the_fault())
          between:cut()
          local ms = wait_until_clean(scene, GRACE + 2000)
          local _, printed = wait_for_end(operator)
          between:heal()
          assert.matches("failed nodedown", printed)
          check_served(scene, position >= INSTALLED and version or before)
          note("cut for good", STEPS[position], outcome_of(printed), ms)
        end)
      end

      it("while nobody looked, and healed: a sequence that was past its install goes on and ends well", function()
        local before = current(scene)
        local version = before == "2.0.0" and "1.0.0" or "2.0.0"
        local operator = operate(scene, { version = version, fault = "doze", wait = 800, after = INSTALLED, grace = 3000,
          port = between.port })
        assert.truthy(operator.at_the_fault())
        between:cut()
        between:heal()
        local _, printed = wait_for_end(operator)
        assert.matches("\nok\n", printed)
        local ms = wait_until_clean(scene, 2000)
        check_served(scene, version)
        check_journal(scene, operator, 10, true)
        note("cut while nobody looked, healed", STEPS[INSTALLED], "ok", ms)
      end)
    end)

    it("an operator who is stopped (SIGSTOP) counts as lost, and is told when it goes on", function()
      local before = current(scene)
      local version = before == "2.0.0" and "1.0.0" or "2.0.0"
      local operator = operate(scene, { version = version, fault = "doze", wait = 500, after = CHANNELS_SUSPENDED, lease = 600 })
      assert.truthy(operator.at_the_fault())
      operator.process:signal "STOP"
      local ms = wait_until_clean(scene, 600 + 300 + GRACE + 2000)
      operator.process:signal "CONT"
      local _, printed = wait_for_end(operator)
      assert.matches("failed guard_gone", printed)
      check_served(scene, before)
      check_journal(scene, operator, CHANNELS_SUSPENDED, true)
      assert.equal(before, current(scene))
      note("stopped (SIGSTOP)", STEPS[CHANNELS_SUSPENDED], "failed guard_gone", ms)
    end)

    it("a journal that cannot be written stops the run before it touches anything", function()
      local before = current(scene)
      local version = before == "2.0.0" and "1.0.0" or "2.0.0"
      local operator = operate(scene, { version = version, fault = "none", after = 5, journal = "/dev/full" })
      local _, printed = wait_for_end(operator)
      assert.matches("failed journal", printed)
      assert.matches("No space left on device", printed)
      local ms = wait_until_clean(scene, 2000)
      check_served(scene, before)
      note("disk full", "(at once)", "failed journal", ms)
    end)

    it("a journal that can be written no longer stops the run before the act", function()
      local before = current(scene)
      local version = before == "2.0.0" and "1.0.0" or "2.0.0"
      -- Room for the steps before, and for the acceptors' undo, but not for the line with a thousand pids.
      local operator = operate(scene, { version = version, fault = "none", after = 0, file_limit = 40 })
      local _, printed = wait_for_end(operator)
      assert.matches("suspend_channels failed: the journal .* cannot be written", printed)
      assert.matches("100 acceptors stopped", printed)
      local ms = wait_until_clean(scene, 2000)
      assert.equal(before, current(scene))
      check_served(scene, before)
      note("disk full", STEPS[ACCEPTORS_STOPPED], "failed journal", ms)
    end)

    it("a relup that fails before the point of no return leaves everything as it was", function()
      if current(scene) ~= "1.0.0" then
        local _, printed = wait_for_end(operate(scene, { version = "1.0.0", fault = "none", after = 0 }))
        assert.matches("\nok\n", printed)
      end
      local operator = operate(scene, { version = "2.0.1-early", fault = "none", after = 0 })
      local _, printed = wait_for_end(operator)
      assert.matches("failed refused", printed)
      assert.matches("chat_upgrade_fails", printed)
      local ms = wait_until_clean(scene, 2000)
      check_served(scene, "1.0.0")
      note("relup fails early", "check connections", "failed refused", ms)
    end)

    it("a guard that is killed lets nothing more happen; what was done is undone by the operator", function()
      local before = current(scene)
      local version = before == "2.0.0" and "1.0.0" or "2.0.0"
      local operator = operate(scene, { version = version, fault = "doze", wait = 1000, after = ACCEPTORS_STOPPED })
      assert.truthy(operator.at_the_fault())
      local pid = scene.node:call("erlang", "whereis", { term.atom(guard.NAME) })
      assert.is_true(scene.node:call("erlang", "exit", { pid, term.atom "kill" }))
      local _, printed = wait_for_end(operator)
      assert.matches("failed guard_gone", printed)
      local ms = wait_until_clean(scene, 2000)
      check_served(scene, before)
      check_journal(scene, operator, ACCEPTORS_STOPPED, true)
      note("the guard is killed", STEPS[ACCEPTORS_STOPPED], "failed guard_gone", ms)
    end)

    it("no message of any socket was lost in all of that", function()
      local stats = scene.clients:drain(10000)
      assert.equal(SOCKETS, stats.open)
      assert.equal(0, stats.reconnects)
      assert.equal(0, stats.lost + stats.pending)
      assert.equal(stats.sent, stats.answered)
    end)
  end)

  -- OTP's release handler has suspended the same channels for their code_change: whoever resumes them now makes it fail past the
  -- point of no return, and the node restarts.
  describe("while OTP changes the code of the suspended channels", function()
    local scene, creation

    setup(function()
      scene = start_scene(SOCKETS, { next = { "2.1.0" } })
      assert(scene.release:eval "release_handler:unpack_release(\"chat-2.1.0\")")
      creation = scene.release:eval "erlang:system_info(creation)"
    end)

    teardown(function() scene:stop() end)

    local function go() scene.release:eval "holder ! go" end

    -- An operator whose release handler waits for one of the channels.
    local function held_operator(options)
      local version = current(scene) == "2.1.0" and "1.0.0" or "2.1.0"
      local operator = operate(scene, setmetatable({
        version = version, fault = "hold", after = CHANNELS_SUSPENDED + 1, target = "channels",
      }, { __index = options }))
      assert.truthy(operator.at_the_fault())
      assert.truthy(process.wait_until(function()
        return scene.release:eval [[
          lists:member(whereis(release_handler), element(2, process_info(persistent_term:get(held, self()), monitored_by)))]]
          == "true"
      end, 4000))
      function operator.says(text)
        return process.wait_until(function() return operator.process:printed():find(text, 1, true) end, 3000)
      end
      return operator, version
    end

    -- Ours are, and perhaps others that the release handler has suspended for itself.
    local function check_suspended() assert.is_true(#scene.node:suspended() >= SOCKETS) end

    local function wait_until_lost()
      assert.truthy(process.wait_until(function()
        local who = guard.who(scene.node)
        return who and who.status == "lost"
      end, 3000))
    end

    -- The release handler has done its work in peace: nobody lost a socket, and the node is the same.
    local function check_installed(version)
      local ms = wait_until_clean(scene, GRACE + 5000)
      assert.equal(creation, scene.release:eval "erlang:system_info(creation)")
      assert.equal(version, current(scene))
      check_served(scene, version)
      return ms
    end

    local WAITS = "waits until release_handler:install_release has ended"

    for _, mode in ipairs { "run", "install" } do
      local where = mode == "run" and "" or ", with the steps inside the relup"
      for _, name in ipairs { "TERM", "INT", "HUP" } do
        it("SIG" .. name .. where .. ": the operator waits, then resumes, and says what was installed", function()
          local operator, version = held_operator { mode = mode }
          operator.process:signal(name)
          assert.truthy(operator.says(WAITS))
          check_suspended()
          go()
          local _, printed = wait_for_end(operator)
          assert.matches("failed interrupted", printed)
          assert.matches("interrupted by SIG" .. name .. "; the install went on to its end: %d.%d.0 %-> " .. version, printed)
          note("SIG" .. name .. " in code_change" .. (where ~= "" and " (relup)" or ""), STEPS[6], outcome_of(printed),
            check_installed(version))
          check_journal(scene, operator, 10, true)
        end)
      end

      it("SIGKILL" .. where .. ": the guard waits, then resumes", function()
        local operator, version = held_operator { mode = mode }
        operator.process:signal "KILL"
        wait_until_lost()
        check_suspended()
        go()
        wait_for_end(operator)
        note("SIGKILL in code_change" .. (where ~= "" and " (relup)" or ""), STEPS[6], "killed", check_installed(version))
      end)
    end

    it("a second signal leaves it to the guard", function()
      local operator, version = held_operator {}
      operator.process:signal "INT"
      assert.truthy(operator.says(WAITS))
      operator.process:signal "INT"
      local _, printed = wait_for_end(operator)
      assert.matches("failed interrupted", printed)
      assert.matches("undone: nothing from here: .* guard there undoes everything when release_handler:install_release has ended",
        printed)
      assert.matches(SOCKETS .. " processes may still be suspended", printed)
      check_suspended()
      local state = assert(journal.read(operator.journal))
      assert.equal(SOCKETS, state.ended.still_suspended)
      assert.equal(SOCKETS, #state.pids)
      local recovered, _, code = relup.recover(scene.node, operator.journal, { log = function() end })
      assert.is_nil(recovered)
      assert.equal("busy", code)
      go()
      note("SIGINT twice in code_change", STEPS[6], outcome_of(printed), check_installed(version))
    end)

    it("an operator who is stopped (SIGSTOP) finds everything undone when it goes on", function()
      local operator, version = held_operator { lease = 600 }
      operator.process:signal "STOP"
      wait_until_lost()
      operator.process:signal "CONT"
      assert.truthy(operator.says(WAITS))
      check_suspended()
      go()
      local _, printed = wait_for_end(operator)
      assert.matches("failed guard_lost", printed)
      assert.matches("the install went on to its end: %d.%d.0 %-> " .. version, printed)
      note("SIGSTOP in code_change", STEPS[6], outcome_of(printed), check_installed(version))
      check_journal(scene, operator, 10, true)
    end)

    it("a connection that is cut for longer than the grace period: the guard waits, the operator says what came of it", function()
      local port = assert(scene.release:eval [[
        [Name, Host] = string:split(atom_to_list(node()), "@"),
        {port, Port, _} = erl_epmd:port_please(Name, Host), Port]])
      local between = proxy.start(port)
      finally(function() between:stop() end)
      local operator, version = held_operator { port = between.port }
      between:cut()
      wait_until_lost()
      check_suspended()
      go()
      local ms = check_installed(version)
      between:heal()
      local _, printed = wait_for_end(operator)
      -- It is healed before or after the operator gives up on it.
      assert.is_truthy(printed:find "\nok\n"
        or printed:find("the connection to .* was lost while " .. version .. " was being installed: it runs that now"))
      assert.is_nil(printed:find "waits until")
      note("cut for good in code_change", STEPS[6], outcome_of(printed), ms)
      check_journal(scene, operator, 10, true)
    end)

    it("an install that takes longer than its step waits is waited for all the same", function()
      local operator, version = held_operator { install_timeout = 300 }
      assert.truthy(operator.says(WAITS))
      check_suspended()
      go()
      local _, printed = wait_for_end(operator)
      assert.matches("failed timeout", printed)
      assert.matches("the install went on to its end: %d.%d.0 %-> " .. version, printed)
      note("install's timeout in code_change", STEPS[6], outcome_of(printed), check_installed(version))
      check_journal(scene, operator, 10, true)
    end)

    it("a guard that is killed: the operator waits for the release handler itself", function()
      local operator, version = held_operator {}
      assert(scene.release:eval "exit(whereis(edeliver_relup), kill)")
      operator.process:signal "TERM"
      process.sleep(500)
      assert.is_nil(operator.process:exited())
      check_suspended()
      go()
      local _, printed = wait_for_end(operator)
      assert.matches("failed interrupted", printed)
      assert.matches("the install went on to its end: %d.%d.0 %-> " .. version, printed)
      note("guard killed in code_change", STEPS[6], outcome_of(printed), check_installed(version))
    end)

    it("recovery does not hurry a guard that waits for the install", function()
      local operator, version = held_operator { grace = 20000 }
      operator.process:signal "KILL"
      wait_for_end(operator)
      assert.truthy(process.wait_until(function() return guard.who(scene.node).status == "gone" end, 3000))
      local recovering = assert(scene.node:request("gen_server", "call", { term.atom(guard.NAME), term.atom "undo",
        term.atom "infinity" }))
      local _, _, code = scene.node:await(recovering, 300)
      assert.equal("timeout", code)
      check_suspended()
      go()
      assert.equal(term.atom "ok", scene.node:await(recovering, 5000))
      note("recovery in code_change", STEPS[6], "killed", check_installed(version))
    end)

    it("no message of any socket was lost in all of that", function()
      local stats = scene.clients:drain(10000)
      assert.equal(0, stats.lost + stats.pending)
      assert.equal(stats.sent, stats.answered)
    end)
  end)

  describe("after an accident on the node", function()
    local scene

    before_each(function() scene = start_scene(FEW, { next = { "2.0.0", "2.0.1-late" } }) end)
    after_each(function() scene:stop() end)

    for _, position in ipairs { ACCEPTORS_STOPPED, INSTALLED } do
      it("after " .. STEPS[position] .. ": the acceptors' supervisor crashes", function()
        local operator = operate(scene, { version = "2.0.0", fault = "listen", wait = 700, after = position })
        assert.truthy(operator.at_the_fault())
        local site = assert(require("edeliver.relup.web").find(scene.node, "chat"))
        scene.node:call("erlang", "exit", { site.listeners[1].acceptors_sup, term.atom "kill" })
        local _, printed = wait_for_end(operator)
        local ms = wait_until_clean(scene, 2000)
        check_served(scene, current(scene))
        check_journal(scene, operator, 10, true)
        note("acceptors' supervisor crashes", STEPS[position], outcome_of(printed), ms)
      end)
    end

    for _, position in ipairs { CHANNELS_SUSPENDED, INSTALLED } do
      it("after " .. STEPS[position] .. ": half of the websockets die", function()
        local operator = operate(scene, { version = "2.0.0", fault = "listen", wait = 500, after = position })
        assert.truthy(operator.at_the_fault())
        local suspended = assert(scene.node:suspended())
        local half = {}
        for i = 1, FEW // 2 do half[i] = suspended[i] end
        assert.equal(FEW // 2, #half)
        for _, pid in ipairs(half) do scene.node:call("erlang", "exit", { pid, term.atom "kill" }) end
        local _, printed = wait_for_end(operator)
        assert.matches("\nok\n", printed)
        local ms = wait_until_clean(scene, 2000)
        -- Their clients connect again, which waits for the acceptors.
        assert.truthy(process.wait_until(function()
          local stats = scene.clients:stats()
          return stats.open == FEW and stats.reconnects == FEW // 2
        end, 5000))
        check_journal(scene, operator, 10, true)
        assert.equal("2.0.0", current(scene))
        note("half of the websockets die", STEPS[position], "ok", ms)
      end)
    end

    for _, case in ipairs { { name = "late", hold = 2500 }, { name = "never", hold = 6000 } } do
      it("websockets that answer " .. case.name .. " are resumed all the same", function()
        -- They are held while the operator waits, so that it finds them held however slow this machine is.
        local operator = operate(scene, {
          version = "2.0.0", fault = "listen", wait = 1500, after = ACCEPTORS_STOPPED, suspend_timeout = 400,
        })
        assert.truthy(operator.at_the_fault())
        assert(scene.release:eval(([[
          Pids = lists:sublist([P || {P, removed} <- lists:append([element(2, process_info(S, dictionary)) ||
            {_, S} <- ranch_server:get_connections_sups('Elixir.Chat.Endpoint.HTTP')])], 10),
          10 = length(Pids),
          spawn(fun() -> [erlang:suspend_process(P) || P <- Pids], timer:sleep(%d) end), ok]]):format(case.hold)))
        local _, printed = wait_for_end(operator)
        assert.matches("suspend_channels failed: 10 of 100 processes did not answer", printed)
        local ms = wait_until_clean(scene, case.hold + 2000)
        assert.equal("1.0.0", current(scene))
        check_served(scene, "1.0.0")
        local stats = scene.clients:drain(10000)
        assert.equal(0, stats.lost + stats.pending)
        note("websockets answer " .. case.name, STEPS[CHANNELS_SUSPENDED], outcome_of(printed), ms)
      end)
    end

    it("a relup that fails past the point of no return: the node restarts, and nothing is left", function()
      assert(scene.release:eval "release_handler:unpack_release(\"chat-2.0.1-late\")")
      local operator = operate(scene, { version = "2.0.1-late", fault = "none", after = 0 })
      local _, printed = wait_for_end(operator)
      assert.matches("failed nodedown", printed)
      assert.matches("runs 1.0.0 now", printed)
      scene.node:close()
      scene.node = scene:connect()
      local ms = wait_until_clean(scene, 5000)
      check_journal(scene, operator, 10, true)
      note("relup fails late", STEPS[6], "failed nodedown", ms)
    end)

    it("a node that is killed: the operator says so and ends", function()
      local operator = operate(scene, { version = "2.0.0", fault = "listen", after = CHANNELS_SUSPENDED })
      assert.truthy(operator.at_the_fault())
      local started = process.now()
      scene.release:signal "KILL"
      local _, printed = wait_for_end(operator)
      assert.matches("failed nodedown", printed)
      assert.matches("cannot be reached", printed)
      local state = assert(journal.read(operator.journal))
      assert.is_truthy(state.ended)
      assert.equal(FEW, state.ended.still_suspended)
      assert.equal(FEW, #state.pids)
      note("the node is killed", STEPS[CHANNELS_SUSPENDED], "failed nodedown", process.now() - started)
    end)
  end)
end)
