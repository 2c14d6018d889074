-- Nothing stays suspended, whatever happens, and wherever in a sequence: every accident at every step, on a real release with
-- a thousand websockets. After each, once the grace period is over: nobody is suspended, the listener accepts, the sockets live
-- where the node did, the guard is gone, and the journal tells the truth. Prints the matrix as a table, with how long that took.

local guard = require "edeliver.relup.undo.guard"
local journal = require "edeliver.relup.undo.journal"
local process = require "support.process"
local relup = require "edeliver.relup"
local scenes = require "support.scene"
local shared = require "support.shared"
local term = require "edeliver.relup.term"

local GRACE, SOCKETS, FEW = scenes.GRACE, 1000, 100

-- How many steps are done when a thing is owed, and when no longer.
local ACCEPTORS_STOPPED, CHANNELS_SUSPENDED, INSTALLED, CHANNELS_RESUMED, ACCEPTORS_RUN = 4, 5, 7, 9, 10
local STEPS = {
  [0] = "(nothing)", "check old code", "check acceptors", "check connections", "suspend acceptors", "suspend channels",
  "finish requests", "install", "rerun requests", "resume channels", "resume acceptors",
}

local note = scenes.note

local function outcome_of(printed) return printed:match "\nok\n" and "ok" or printed:match "\n(failed [%l_]+)" end

-- Calls are owed all the time: before the install the relup's own text, and from the stop of the acceptors on their restart.
local function owed_at(position)
  return position >= CHANNELS_SUSPENDED and position < CHANNELS_RESUMED, position < ACCEPTORS_RUN
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
  assert.equal(pids and scene.sockets or 0, #state.pids)
  assert.equal(undos, #state.undos > 0)
end

describe("the fault matrix", function()
  teardown(scenes.print_table)

  describe("after an accident", function()

    local scene = shared(scenes.start, { sockets = SOCKETS, next = { "2.0.0", "2.0.1-early" } })

    -- One accident at one place; the versions take turns, so that half of them happen on the way down.
    local function accident(fault, position, expected, ended)
      local operator = scene:operate { fault = fault, after = position }
      local _, printed = operator:wait()
      assert.matches("at the fault", printed)
      if expected then assert.matches(expected, printed) end
      local ms = scene:wait_until_clean(GRACE)
      local now = position >= INSTALLED and operator.version or operator.before
      assert.equal(now, scene:current())
      scene:check_served(now)
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
          local relup_before = scene:relup()
          local operator = scene:operate { fault = case.fault, after = case.after, mode = "install" }
          local _, printed = operator:wait()
          if case.expected then assert.matches(case.expected, printed) end
          local ms = scene:wait_until_clean(GRACE)
          local now = case.installs and operator.version or operator.before
          assert.equal(now, scene:current())
          assert.equal(scene.creation, scene:creation_now())
          scene:check_served(now)
          assert.equal(relup_before, scene:relup())
          note(case.fault .. " inside the relup", STEPS[case.after], outcome_of(printed) or "killed", ms)
        end)
      end
    end)

    describe("of the connection", function()
      local between

      setup(function() between = scene:between() end)

      for _, position in ipairs { 3, 4, 5, 7, 9 } do
        it("after " .. STEPS[position] .. ": cut, and healed within the grace period", function()
          local operator = scene:operate { fault = "listen", after = position, grace = 3000, port = between.port }
          operator:at_the_fault()
          between:cut()
          process.sleep(300)
          between:heal()
          local _, printed = operator:wait()
          assert.matches("failed nodedown", printed)
          local ms = scene:wait_until_clean()
          local now = position >= INSTALLED and operator.version or operator.before
          scene:check_served(now)
          check_journal(scene, operator, position, true)
          assert.is_nil(scene.release:printed():match("did not come back[^\n]*", -200))
          note("cut and healed", STEPS[position], outcome_of(printed), ms)
        end)

        it("after " .. STEPS[position] .. ": cut for longer than the grace period", function()
          local operator = scene:operate { fault = "listen", after = position, port = between.port }
          operator:at_the_fault()
          between:cut()
          local ms = scene:wait_until_clean(GRACE)
          local _, printed = operator:wait()
          between:heal()
          assert.matches("failed nodedown", printed)
          scene:check_served(position >= INSTALLED and operator.version or operator.before)
          note("cut for good", STEPS[position], outcome_of(printed), ms)
        end)
      end

      it("while nobody looked, and healed: a sequence that was past its install goes on and ends well", function()
        local operator = scene:operate { fault = "doze", wait = 800, after = INSTALLED, grace = 3000,
          port = between.port }
        operator:at_the_fault()
        between:cut()
        between:heal()
        local _, printed = operator:wait()
        assert.matches("\nok\n", printed)
        local ms = scene:wait_until_clean()
        scene:check_served(operator.version)
        check_journal(scene, operator, 10, true)
        note("cut while nobody looked, healed", STEPS[INSTALLED], "ok", ms)
      end)
    end)

    it("an operator who is stopped (SIGSTOP) counts as lost, and is told when it goes on", function()
      local operator = scene:operate { fault = "doze", wait = 500, after = CHANNELS_SUSPENDED, lease = 600 }
      operator:at_the_fault()
      operator.process:signal "STOP"
      local ms = scene:wait_until_clean(600 + 300 + GRACE)
      operator.process:signal "CONT"
      local _, printed = operator:wait()
      assert.matches("failed nodedown", printed)
      assert.matches("undone: " .. SOCKETS .. " processes were running again already", printed)
      assert.is_nil(printed:find "processes resumed")
      scene:check_served(operator.before)
      check_journal(scene, operator, CHANNELS_SUSPENDED, true)
      assert.equal(operator.before, scene:current())
      note("stopped (SIGSTOP)", STEPS[CHANNELS_SUSPENDED], "failed nodedown", ms)
    end)

    it("a journal that cannot be written stops the run before it touches anything", function()
      local operator = scene:operate { fault = "none", after = 5, journal = scene.folder .. "/missing/journal.jsonl" }
      local _, printed = operator:wait()
      assert.matches("failed journal", printed)
      assert.matches("No such file or directory", printed)
      local ms = scene:wait_until_clean()
      scene:check_served(operator.before)
      note("no place for a journal", "(at once)", "failed journal", ms)
    end)

    it("a journal that can be written no longer stops the run before the act", function()
      -- Room for the steps before, and for the acceptors' undo, but not for the line with a thousand pids.
      local operator = scene:operate {
        fault = "none", after = 0, engine = "otp", shell = "trap '' XFSZ; ulimit -f 40; exec \"$@\"",
      }
      local _, printed = operator:wait()
      assert.matches("suspend_channels failed: the journal .* cannot be written", printed)
      assert.matches("100 acceptors stopped", printed)
      local ms = scene:wait_until_clean()
      assert.equal(operator.before, scene:current())
      scene:check_served(operator.before)
      note("disk full", STEPS[ACCEPTORS_STOPPED], "failed journal", ms)
    end)

    it("a relup that fails before the point of no return leaves everything as it was", function()
      if scene:current() ~= "1.0.0" then
        local _, printed = scene:operate({ fault = "none", after = 0 }):wait()
        assert.matches("\nok\n", printed)
      end
      local operator = scene:operate { version = "2.0.1-early", fault = "none", after = 0 }
      local _, printed = operator:wait()
      assert.matches("failed refused", printed)
      assert.matches("chat_upgrade_fails", printed)
      local ms = scene:wait_until_clean()
      scene:check_served("1.0.0")
      note("relup fails early", "check connections", "failed refused", ms)
    end)

    it("a guard that is killed lets nothing more happen; what was done is undone by the operator", function()
      local operator = scene:operate { fault = "doze", wait = 1000, after = ACCEPTORS_STOPPED }
      operator:at_the_fault()
      scene:kill_guard()
      local _, printed = operator:wait()
      assert.matches("failed guard_gone", printed)
      local ms = scene:wait_until_clean()
      scene:check_served(operator.before)
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

    local scene = shared(scenes.start, { sockets = SOCKETS, next = { "2.1.0" } })

    local function go() scene.release:eval "holder ! go" end

    -- An operator whose release handler waits for one of the channels.
    local function held_operator(options)
      local operator = scene:operate(setmetatable({
        fault = "hold", after = CHANNELS_SUSPENDED + 1, target = "channels", engine = "otp",
      }, { __index = options }))
      operator:at_the_fault()
      assert.truthy(process.wait_until(function()
        return scene.release:eval [[
          lists:member(whereis(release_handler), element(2, process_info(persistent_term:get(held, self()), monitored_by)))]]
          == "true"
      end, 4000))
      return operator, operator.version
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
      local ms = scene:wait_until_clean(GRACE)
      assert.equal(scene.creation, scene:creation_now())
      assert.equal(version, scene:current())
      scene:check_served(version)
      return ms
    end

    local WAITS = "Waiting for release_handler:install_release to end"

    for _, mode in ipairs { "run", "install" } do
      local where = mode == "run" and "" or ", with the steps inside the relup"
      for _, name in ipairs { "TERM", "INT", "HUP" } do
        it("SIG" .. name .. where .. ": the operator waits, then resumes, and says what was installed", function()
          local operator, version = held_operator { mode = mode }
          operator.process:signal(name)
          assert.truthy(operator:says(WAITS))
          check_suspended()
          go()
          local _, printed = operator:wait()
          assert.matches("failed interrupted", printed)
          assert.matches("interrupted by SIG" .. name .. "; the install ran to its end: %d.%d.0 %-> " .. version, printed)
          assert.matches("to " .. version .. ": interrupted after the install ran to its end", printed, 1, true)
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
        operator:wait()
        note("SIGKILL in code_change" .. (where ~= "" and " (relup)" or ""), STEPS[6], "killed", check_installed(version))
      end)
    end

    it("a second signal leaves it to the guard", function()
      local operator, version = held_operator {}
      operator.process:signal "INT"
      assert.truthy(operator:says(WAITS))
      operator.process:signal "INT"
      local _, printed = operator:wait()
      assert.matches("failed interrupted", printed)
      assert.matches("undone: nothing from here: .* guard on .* undoes everything when release_handler:install_release has ended",
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
      assert.truthy(operator:says(WAITS))
      check_suspended()
      go()
      local _, printed = operator:wait()
      assert.matches("failed guard_lost", printed)
      assert.matches("the install ran to its end: %d.%d.0 %-> " .. version, printed)
      note("SIGSTOP in code_change", STEPS[6], outcome_of(printed), check_installed(version))
      check_journal(scene, operator, 10, true)
    end)

    it("a connection that is cut for longer than the grace period: the guard waits, the operator says what came of it", function()
      local between = scene:between()
      local operator, version = held_operator { port = between.port }
      between:cut()
      wait_until_lost()
      check_suspended()
      go()
      local ms = check_installed(version)
      between:heal()
      local _, printed = operator:wait()
      -- It is healed before or after the operator gives up on it.
      assert.is_truthy(printed:find "\nok\n"
        or printed:find("the connection to .* was lost while " .. version .. " was being installed: the node did not restart"))
      assert.is_nil(printed:find "Waiting for")
      note("cut for good in code_change", STEPS[6], outcome_of(printed), ms)
      check_journal(scene, operator, 10, true)
    end)

    it("an install that takes longer than its step waits is waited for all the same", function()
      local operator, version = held_operator { install_timeout = 300 }
      assert.truthy(operator:says(WAITS))
      check_suspended()
      go()
      local _, printed = operator:wait()
      assert.matches("failed timeout", printed)
      assert.matches("the install ran to its end: %d.%d.0 %-> " .. version, printed)
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
      local _, printed = operator:wait()
      assert.matches("failed interrupted", printed)
      assert.matches("the install ran to its end: %d.%d.0 %-> " .. version, printed)
      note("guard killed in code_change", STEPS[6], outcome_of(printed), check_installed(version))
    end)

    it("recovery does not hurry a guard that waits for the install", function()
      local operator, version = held_operator { grace = 20000 }
      operator.process:signal "KILL"
      operator:wait()
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

    before_each(function() scene = scenes.start { sockets = FEW, next = { "2.0.0", "2.0.1-late" } } end)
    after_each(function() scene:stop() end)

    for _, position in ipairs { ACCEPTORS_STOPPED, INSTALLED } do
      it("after " .. STEPS[position] .. ": the acceptors' supervisor crashes", function()
        local operator = scene:operate { version = "2.0.0", fault = "listen", wait = 700, after = position }
        operator:at_the_fault()
        local site = assert(require("edeliver.relup.web").find(scene.node, "chat"))
        scene.node:call("erlang", "exit", { site.listeners[1].acceptors_sup, term.atom "kill" })
        local _, printed = operator:wait()
        local ms = scene:wait_until_clean()
        scene:check_served(scene:current())
        check_journal(scene, operator, 10, true)
        note("acceptors' supervisor crashes", STEPS[position], outcome_of(printed), ms)
      end)
    end

    for _, position in ipairs { CHANNELS_SUSPENDED, INSTALLED } do
      it("after " .. STEPS[position] .. ": half of the websockets die", function()
        local operator = scene:operate { version = "2.0.0", fault = "listen", wait = 500, after = position }
        operator:at_the_fault()
        local suspended = assert(scene.node:suspended())
        local half = {}
        for i = 1, FEW // 2 do half[i] = suspended[i] end
        assert.equal(FEW // 2, #half)
        for _, pid in ipairs(half) do scene.node:call("erlang", "exit", { pid, term.atom "kill" }) end
        local _, printed = operator:wait()
        assert.matches("\nok\n", printed)
        local ms = scene:wait_until_clean()
        -- Their clients connect again, which waits for the acceptors.
        assert.truthy(process.wait_until(function()
          local stats = scene.clients:stats()
          return stats.open == FEW and stats.reconnects == FEW // 2
        end, 5000))
        check_journal(scene, operator, 10, true)
        assert.equal("2.0.0", scene:current())
        note("half of the websockets die", STEPS[position], "ok", ms)
      end)
    end

    for _, case in ipairs { { name = "late", hold = 1500 }, { name = "never", hold = 5000 } } do
      it("websockets that answer " .. case.name .. " are resumed all the same", function()
        -- They are held before the operator goes on, and for so long behind its failure, however slow this machine is.
        local operator = scene:operate({ version = "2.0.0", fault = "ask", after = ACCEPTORS_STOPPED, suspend_timeout = 400 })
        operator:at_the_fault()
        assert(scene.release:eval([[
          Pids = lists:sublist([P || {P, removed} <- lists:append([element(2, process_info(S, dictionary)) ||
            {_, S} <- ranch_server:get_connections_sups('Elixir.Chat.Endpoint.HTTP')])], 10),
          10 = length(Pids), Me = self(),
          spawn(fun() ->
            register(holder, self()), [erlang:suspend_process(P) || P <- Pids], Me ! held, receive go -> ok end
          end),
          receive held -> ok end]]))
        operator:go()
        assert(operator:says "10 of 100 processes did not answer")
        assert(scene.release:eval(("erlang:send_after(%d, holder, go)"):format(case.hold)))
        local _, printed = operator:wait()
        assert.matches("suspend_channels failed: 10 of 100 processes did not answer", printed)
        local ms = scene:wait_until_clean(case.hold)
        assert.equal("1.0.0", scene:current())
        scene:check_served("1.0.0")
        local stats = scene.clients:drain(10000)
        assert.equal(0, stats.lost + stats.pending)
        note("websockets answer " .. case.name, STEPS[CHANNELS_SUSPENDED], outcome_of(printed), ms)
      end)
    end

    it("a relup that fails past the point of no return: the node restarts, and nothing is left", function()
      local operator = scene:operate { version = "2.0.1-late", fault = "none", after = 0 }
      local _, printed = operator:wait()
      assert.matches("failed restarted", printed)
      assert.matches("runs 1.0.0 now", printed)
      scene:connect_again()
      local ms = scene:wait_until_clean()
      check_journal(scene, operator, 10, true)
      note("relup fails late", STEPS[6], "failed restarted", ms)
    end)

    it("a node that is killed: the operator says so and ends", function()
      local operator = scene:operate { version = "2.0.0", fault = "listen", after = CHANNELS_SUSPENDED }
      operator:at_the_fault()
      local started = process.now()
      scene.release:signal "KILL"
      local _, printed = operator:wait()
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
