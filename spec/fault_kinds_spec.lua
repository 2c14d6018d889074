-- One owner of the undo: nothing that was asked for earlier may arrive later. Each kind of accident that was once seen to break
-- that, on a real release with websockets; what the operator is told is held against what an observer on the node has written
-- down. Prints its rows of the fault matrix as a table.

local journal = require "edeliver.relup.undo.journal"
local process = require "support.process"
local relup = require "edeliver.relup"
local scenes = require "support.scene"
local verdict = require "support.verdict"

local SOCKETS, GRACE, LEASE = 100, scenes.GRACE, 600
local ACCEPTORS_STOPPED, CHANNELS_SUSPENDED, INSTALLED = 4, 5, 7 -- how many steps are done then

local function quiet() end

describe("the fault matrix, by kinds:", function()
  local scene

  teardown(scenes.print_table)

  -- Each row begins on a node to which nothing has happened.
  local function on(options)
    options.sockets = SOCKETS
    setup(function() scene = scenes.start(options) end)
    before_each(function() scene = scene:fit() end)
    teardown(function() scene:stop() end)
  end

  -- An operator who waits at the fault for our word, watched from here on.
  local function operate(options)
    scene:mark()
    local given = { document = true, fault = "ask" }
    for name, value in pairs(options) do given[name] = value end
    return scene:operate(given)
  end

  -- The ms until nothing was left; nil where the node has ended for want of room for a process, which is noted.
  local function until_clean(options)
    local cleaned, ms = pcall(scene.wait_until_clean, scene, options.first or GRACE)
    if cleaned then return ms end
    assert(options.full and scene:gave_up(), ms)
    scenes.note(options.name, options.where, "the node ended by itself", 0)
    return nil
  end

  -- The operator's end: nothing is left behind, nobody has lost anything, and what it was told is true.
  local function check(operator, options)
    options = options or {}
    local status, printed = operator:wait()
    local clean = scene:is_clean()
    local ms = options.dead and 0 or until_clean(options)
    if not ms then return end
    local facts = setmetatable({
      status = status, printed = printed, clean = clean, document = operator:document(), seen = scene.observer:seen(),
      version = operator.version,
    }, { __index = options })
    assert.same({}, verdict.lies(facts), printed)
    if not options.dead and not options.restarted then
      assert.equal(scene.creation, scene:creation_now())
      local now = options.installed and operator.version or operator.before
      assert.equal(now, scene:current(), printed)
      scene:check_served(now)
      assert.equal(scene.relup_first, scene:relup())
    end
    scenes.note(options.name, options.where or "", ("exit %d"):format(status), ms)
    return facts
  end

  -- Of one that was killed there is no report.
  local function check_killed(operator, options)
    operator:wait()
    local ms = until_clean(options)
    if not ms then return end
    assert.equal(scene.creation, scene:creation_now())
    scene:check_served(options.installed and operator.version or operator.before)
    assert.equal(scene.relup_first, scene:relup())
    scenes.note(options.name, options.where or "", "killed", ms)
  end

  describe("a late act", function()
    on {}

    local function late(act, times)
      local between = scene:between()
      local mode = act == "relup" and "install" or "run"
      local operator = operate { before = act, mode = mode, port = between.port, lease = times.lease, grace = times.grace }
      operator:at_the_fault()
      between:silence()
      operator:go()
      scene:wait_until_guard_is_gone(times.lease * 4 // 3 + times.grace + 3000)
      process.sleep(times.pause or 200)
      between:heal()
      process.sleep(300) -- what was kept arrives; the operator may have a guard again, for what it undoes itself
      assert.same({ 0, scenes.ACCEPTORS }, { #scene.node:suspended(), scene:acceptors() })
      local facts = check(operator, { link = true, name = "silence before the act", where = act })
      assert.equal(0, facts.seen.most.asked)
      assert.equal(0, facts.seen.suspended)
    end

    for _, act in ipairs { "acceptors", "suspend", "relup" } do
      it("that suspends nobody, once the guard has undone everything: " .. act, function()
        late(act, { lease = LEASE, grace = GRACE })
      end)
    end

    it("and again, with the lease and the grace that are the default", function()
      late("suspend", { lease = 15000, grace = 5000 })
    end)
  end)

  describe("a woken operator", function()
    on {}

    local function stop(options)
      options.lease = LEASE
      local operator = operate(options)
      operator:at_the_fault()
      operator.process:signal "STOP"
      scene:wait_until_guard_is_gone(LEASE * 4 // 3 + GRACE + 3000)
      return operator
    end

    local function wake(operator)
      operator.process:signal "CONT"
      operator:go()
    end

    for _, act in ipairs { "acceptors", "suspend" } do
      it("acts no more: " .. act, function()
        local operator = stop { before = act }
        wake(operator)
        local facts = check(operator, { name = "SIGSTOP before the act", where = act })
        assert.equal(0, facts.seen.most.asked)
        if act == "acceptors" then assert.equal(120, facts.seen.least.acceptors) end
      end)

      it("and is killed then, which leaves nothing either: " .. act, function()
        local operator = stop { before = act }
        wake(operator)
        process.sleep(5)
        operator.process:signal "KILL"
        -- A guard that it had just started leaves after five seconds.
        check_killed(operator, { name = "SIGSTOP, then SIGKILL", where = act, first = 5000 })
      end)
    end

    it("says nothing of an install that was another's", function()
      local operator = stop { after = 6 }
      local other = scene:operate { after = 0, fault = "none", document = true, user = "bob" }
      assert.equal(0, other:wait())
      scene:mark()
      wake(operator)
      local facts = check(operator, { name = "SIGSTOP, another installs", installed = true, link = true })
      for _, step in ipairs(facts.document.result.steps) do
        if step.name == "install" then assert.not_equal("done", step.status) end
      end
      assert.not_equal(0, facts.status)
    end)

    it("leaves another's run alone that is active then", function()
      local operator = stop { before = "suspend" }
      local other = scene:operate { after = CHANNELS_SUSPENDED, fault = "ask", document = true, user = "bob" }
      other:at_the_fault()
      scene:mark()
      wake(operator)
      local status, printed = operator:wait()
      local seen = scene.observer:seen()
      assert.equal(SOCKETS, seen.least.suspended)
      assert.equal(20, seen.most.acceptors)
      assert.equal(0, seen.most.asked)
      assert.same({}, verdict.lies { status = status, printed = printed, document = operator:document(), seen = seen,
        version = operator.version, link = true })
      scene:mark()
      other:go()
      check(other, { name = "SIGSTOP, another is active", where = "suspend", installed = true, others = true })
    end)
  end)

  describe("the guard alone is killed", function()
    on {}

    for _, case in ipairs {
      { mode = "run", after = 4 }, { mode = "run", after = 5 }, { mode = "run", after = 7, installed = true },
      { mode = "install", after = 2 }, { mode = "install", after = 4, installed = true },
      { mode = "install", after = 5, installed = true }, { mode = "install", after = 6, installed = true },
      { mode = "install", after = 8, installed = true },
    } do
      it(("after step %d, %s"):format(case.after, case.mode == "run" and "steps around the install" or "steps inside the relup"),
        function()
          local operator = operate { after = case.after, mode = case.mode }
          operator:at_the_fault()
          scene:kill_guard()
          operator:go()
          check(operator, { name = "the guard is killed" .. (case.mode == "run" and "" or " (relup)"),
            where = "after step " .. case.after, installed = case.installed })
        end)
    end
  end)

  describe("a node out of processes", function()
    on { args = { "+P", "2048" } }

    for _, position in ipairs { ACCEPTORS_STOPPED, CHANNELS_SUSPENDED, INSTALLED } do
      it("after step " .. position .. ": the operator is killed", function()
        local operator = operate { after = position }
        operator:at_the_fault()
        scene:fill_process_table(1500)
        operator.process:signal "KILL"
        check_killed(operator, { full = true, name = "process table full, SIGKILL", where = "after step " .. position,
          first = GRACE + 1500, installed = position >= INSTALLED })
      end)

      it("after step " .. position .. ": the operator goes on", function()
        local operator = operate { after = position }
        operator:at_the_fault()
        scene:fill_process_table(1500)
        operator:go()
        operator:ended()
        local installed = scene.observer:seen().code == operator.version
        check(operator, { full = true, name = "process table full", where = "after step " .. position, link = true,
          installed = installed })
      end)
    end

    -- The operator needs a process of the node's for it, the guard does not; a place may come free for the operator, too.
    it("with the relup patched: it is put back, by the guard where the operator cannot, and which is said", function()
      local operator = operate { before = "relup", mode = "install" }
      operator:at_the_fault()
      scene:fill_process_table(20000)
      operator:go()
      local status = operator:ended()
      scene:make_room()
      assert.equal(scene.relup_first, scene:relup())
      assert.not_equal(3, status)
      assert.truthy(operator:says "by the guard on " or operator:says "undone: ", operator.process:printed())
      check(operator, { full = true, name = "process table full", where = "before the relup is patched" })
    end)

    it("from before the start on: nothing is touched", function()
      local operator = operate { after = 3 }
      operator:at_the_fault()
      scene:fill_process_table(2500)
      operator:go()
      operator:ended()
      local installed = scene.observer:seen().code == operator.version
      check(operator, { full = true, name = "process table full", where = "after step 3", link = true, installed = installed })
    end)
  end)

  describe("a node that restarts in the middle, with steps in the relup", function()
    on {}

    -- The relup is the patched one, and nobody is there who would put it back.
    local function restart(operator)
      operator.process:signal "KILL"
      scene.release:signal "KILL"
      scene.release:start_again()
      scene:connect_again()
    end

    it("and its operator is gone: recover puts the relup back, and says so", function()
      local operator = operate { after = CHANNELS_SUSPENDED, mode = "install" }
      operator:at_the_fault()
      local patched = scene:relup()
      assert.not_equal(scene.relup_first, patched)
      restart(operator)
      assert.equal(patched, scene:relup())
      local lines = {}
      local result = assert(relup.recover(scene.node, operator.journal, {
        log = function(_, text) lines[#lines + 1] = text end,
      }))
      assert.is_true(result.ok)
      assert.is_true(result.restarted)
      assert.equal(scene.relup_first, scene:relup())
      assert.matches("relup", table.concat(lines, "\n"))
      local state = assert(journal.read(operator.journal))
      assert.equal(0, #state.undos)
      local _, printed = scene:operate({ after = 0, fault = "none" }):wait()
      assert.matches("\nok\n", printed)
      scenes.note("node killed, then recover", "suspend channels", "recovered", scene:wait_until_clean())
    end)

    it("and its operator is there: it puts the relup back, and the restart is what it says first", function()
      local operator = operate { after = CHANNELS_SUSPENDED, mode = "install" }
      operator:at_the_fault()
      scene.release:signal "KILL"
      scene.release:start_again()
      scene:connect_again()
      operator:go()
      local facts = check(operator, { name = "node killed, comes back", where = "suspend channels", restarted = true })
      assert.equal(scene.relup_first, scene:relup())
      assert.matches("restart", facts.document.error.message:match "^[^\n]*")
    end)

    it("for a relup that fails past the point of no return: the restart is what is said first", function()
      scene:stop()
      scene = scenes.start { sockets = SOCKETS, next = { "2.0.1-late" } }
      local operator = operate { after = 0, fault = "none" }
      local status, printed = operator:wait()
      scene:connect_again()
      scene:wait_until_clean()
      local document = operator:document()
      assert.same({}, verdict.lies { status = status, printed = printed, document = document, seen = scene.observer:seen(),
        version = operator.version, restarted = true })
      assert.matches("restarted", document.error.message:match "^[^\n]*")
      scenes.note("relup fails late", "install", ("exit %d"):format(status), 0)
      scene:stop()
      scene = scenes.start { sockets = SOCKETS }
    end)

    it("and does not come back: nobody is promised anything of a guard that is dead", function()
      local operator = operate { after = CHANNELS_SUSPENDED }
      operator:at_the_fault()
      scene.release:signal "KILL"
      operator:go()
      check(operator, { name = "node killed for good", where = "suspend channels", dead = true })
    end)
  end)

  describe("recovery", function()
    on {}

    it("does nothing to a run that begins beside it", function()
      local node <close> = scene:connect()
      local operator
      -- The run begins when recovery has begun to look.
      local suspended = node.suspended
      node.suspended = function(...)
        node.suspended = nil
        operator = operate { after = CHANNELS_SUSPENDED }
        process.wait_until(function()
          return operator.process:exited() or operator.process:printed():find "at the fault"
        end, 15000)
        return suspended(...)
      end
      local result, message, code = relup.recover(node, nil, { log = quiet })
      if operator.process:exited() then
        local status, printed = operator:wait()
        assert.equal(1, status, printed)
        assert.equal("busy", operator:document().error.code)
        assert.is_truthy(result, message)
      else
        assert.is_truthy(result and #result.found == 0 and result.undos == 0 or code == "busy", message)
        local seen = scene.observer:seen()
        assert.equal(SOCKETS, seen.suspended)
        assert.equal(20, seen.acceptors)
        operator:go()
        check(operator, { name = "recover beside a run", installed = true })
      end
    end)

    it("asks many that hibernate and answer nothing as fast as one", function()
      assert(scene.release:eval "[proc_lib:spawn(chat_observer, hibernate, []) || _ <- lists:seq(1, 300)], ok")
      finally(function() scene.release:eval "chat_observer:wake()" end)
      local started = process.now()
      local result = assert(relup.recover(scene.node, nil, { log = quiet }))
      local took = process.now() - started
      assert.is_true(result.ok)
      assert.is_true(took < 3000 * process.patience, took .. " ms")
      scenes.note("300 silent hibernators", "recover", "ok", took)
    end)

    it("finds in a journal what the first of two runs owes, whom the second was refused", function()
      local first = operate { after = CHANNELS_SUSPENDED, grace = 60000 }
      first:at_the_fault()
      local second = scene:operate { after = 0, fault = "none", document = true, journal = first.journal, user = "bob" }
      local refused, printed = second:wait()
      assert.is_true(refused == 1 or refused == 2, printed)
      scene:kill_guard()
      first.process:signal "KILL"
      first:wait()
      assert.equal(SOCKETS, #assert(journal.read(first.journal)).pids)
      local result = assert(relup.recover(scene.node, first.journal, { log = quiet }))
      assert.is_true(result.ok)
      assert.equal(SOCKETS, #result.found)
      local ms = scene:wait_until_clean()
      scene:check_served(first.before)
      scenes.note("two runs, one journal", "suspend channels", "recovered", ms)
    end)
  end)

  describe("the operator's program", function()
    on {}

    for name, redirections in pairs {
      ["standard input"] = "<&-", ["standard output"] = ">&-", ["standard error"] = "2>&-", ["all three"] = "<&- >&- 2>&-",
    } do
      it("is started with " .. name .. " closed", function()
        local operator = operate { after = CHANNELS_SUSPENDED, fault = "doze", wait = 300,
          shell = 'exec "$@" ' .. redirections }
        local facts = check(operator, { name = name .. " closed", installed = true })
        assert.equal(0, facts.status)
      end)

      it("is killed, started with " .. name .. " closed; and recover is started so, too", function()
        local operator = operate { after = CHANNELS_SUSPENDED, fault = "doze", wait = 20000, grace = 60000,
          shell = 'exec "$@" ' .. redirections }
        assert.is_truthy(process.wait_until(function() return scene.observer:seen().suspended == SOCKETS end, 10000))
        process.sleep(100)
        scene:kill_guard()
        operator.process:signal "KILL"
        operator:wait()
        local command = scene.release:operator_command { "lua5.4", process.root .. "/bin/edeliver-relup", scene.release.name,
          "recover", operator.journal }
        local _, succeeded = process.output(command .. " " .. redirections)
        assert.is_true(succeeded)
        scene:wait_until_clean()
        scene:check_served(operator.before)
      end)
    end

    it("has its output taken away (| head)", function()
      local status_path = scene.folder .. "/head.status"
      local operator = operate { after = CHANNELS_SUSPENDED, fault = "doze", wait = 300, grace = 30000,
        shell = ('{ "$@"; echo $? >%s; } | head -n 1'):format(status_path) }
      local status = process.wait_until(function() return tonumber(process.read_file(status_path) or "") end, 20000)
      assert.equal(0, status)
      local _, printed = operator:wait()
      local ms = scene:wait_until_clean()
      local seen = scene.observer:seen()
      assert.same({}, verdict.lies { status = status, printed = printed, document = operator:document(), seen = seen,
        version = operator.version, clean = true })
      scene:check_served(operator.version)
      scenes.note("SIGPIPE", "suspend channels", "exit 0", ms)
    end)

    for _, signals in ipairs { { "QUIT" }, { "INT", "INT" }, { "TERM", "INT" }, { "INT", "INT", "INT", "QUIT" } } do
      for _, mode in ipairs { "run", "install" } do
        local words = table.concat(signals, ", SIG")
        it(("gets SIG%s, %s"):format(words, mode == "run" and "steps around" or "steps inside the relup"), function()
          local operator = operate { after = CHANNELS_SUSPENDED, fault = "listen", wait = 5000, grace = 30000, mode = mode }
          operator:at_the_fault()
          process.sleep(50)
          for _, name in ipairs(signals) do operator.process:signal(name) end
          local facts = check(operator, { name = "SIG" .. words, where = "suspend channels", signalled = true,
            installed = mode == "install" })
          -- With the second signal it is left to the guard, where the install still runs.
          assert.is_true(facts.status == 2 or #signals > 1 and facts.status == 3)
        end)
      end
    end

    for _, name in ipairs { "INT", "TERM", "HUP", "QUIT" } do
      it(("gets SIG%s when all is done and said: its exit code and its document stay"):format(name), function()
        local operator = operate { after = 0, fault = "none", waits_at_the_end = true }
        assert(process.wait_until(function() return operator:says "at the end" end, 20000))
        operator.process:signal(name)
        operator:go()
        local facts = check(operator, { name = "SIG" .. name, where = "at the end", signalled = true,
          installed = true })
        assert.same({ 0, 0 }, { facts.status, facts.document.exit })
      end)
    end

    it("drops a coroutine in the middle of a run", function()
      local node <close> = scene:connect()
      local before = scene:current()
      local steps = {
        "check_ranch_acceptors", "check_ranch_connections", "suspend_ranch_acceptors", "suspend_channels",
        { name = "yield", after = "suspend_channels", run = function() return coroutine.yield() or true end },
        "resume_channels", "resume_ranch_acceptors",
      }
      do
        local run = coroutine.create(function()
          return relup.sequence(steps):run(node, { name = "chat", journal = false, grace = GRACE, log = quiet })
        end)
        coroutine.resume(run)
      end
      collectgarbage()
      collectgarbage()
      local ms = scene:wait_until_clean(GRACE)
      scene:check_served(before)
      scenes.note("a coroutine is dropped", "suspend channels", "undone", ms)
    end)

    it("cannot write the relup: what had no effect is owed by nobody", function()
      local path = ("%s/releases/%s/relup"):format(scene.release.root, scene.next[1])
      if not os.execute(("chattr +i %s 2>/dev/null"):format(process.quote(path))) then
        pending "needs a file system with immutable files, and root"
        return
      end
      finally(function() os.execute(("chattr -i %s"):format(process.quote(path))) end)
      local operator = operate { after = 0, fault = "none", mode = "install" }
      local facts = check(operator, { name = "relup cannot be written", where = "patch_relup" })
      assert.equal(0, facts.document.result.still_undone)
      assert.is_true(facts.status == 1 or facts.status == 2)
    end)
  end)
end)
