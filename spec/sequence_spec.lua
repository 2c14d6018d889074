-- Sequences on a real release: steps, their undoing, dry runs, up and down, around an install and inside its relup. What
-- accidents do to them is in fault_matrix_spec.lua.

local chat = require "support.chat"
local clients = require "support.clients"
local core = require "edeliver.relup.core"
local guard = require "edeliver.relup.undo.guard"
local journal = require "edeliver.relup.undo.journal"
local process = require "support.process"
local relup = require "edeliver.relup"
local release_handler = require "edeliver.relup.otp.release_handler"
local term = require "edeliver.relup.term"

local atom = term.atom
local SOCKETS = 20

describe("sequence", function()
  local release, sockets, node, folder, lines

  setup(function()
    release = chat.start { next = { "2.0.0", "2.1.0" } }
    sockets = clients.start()
    sockets:open { port = release.ports.endpoint, count = SOCKETS }
    node = release:connect()
    folder = process.temporary_folder()
  end)

  teardown(function()
    node:close()
    sockets:stop()
    release:stop()
    process.remove_folder(folder)
  end)

  before_each(function() lines = {} end)

  local function config(more)
    local made = {
      name = "chat", journal = false, log = function(level, text) lines[#lines + 1] = level .. ": " .. text end,
    }
    for name, value in pairs(more or {}) do made[name] = value end
    return made
  end

  local function whereis(name) return node:call("erlang", "whereis", { atom(name) }) end

  local function acceptors() return chat.acceptors(node) end

  local function current()
    local found
    for _, entry in ipairs(assert(release_handler.which_releases(node))) do
      if entry.status == "current" or entry.status == "permanent" and not found then found = entry.version end
    end
    return found
  end

  local function names(report)
    local found = {}
    for i, step in ipairs(report.steps) do found[i] = step.name end
    return table.concat(found, " ")
  end

  local function check_clean()
    assert.equal(0, #node:suspended())
    assert.equal(100, acceptors())
    assert.is_false(guard.who(node))
  end

  local STEPS = {
    "check_processes_running_old_code", "check_ranch_acceptors", "check_ranch_connections", "suspend_ranch_acceptors",
    "suspend_channels", "finish_running_requests", "install", "rerun_failed_requests", "resume_channels",
    "resume_ranch_acceptors",
  }

  local function steps_with(step, position)
    local steps = table.move(STEPS, 1, #STEPS, 1, {})
    table.insert(steps, position, step)
    return relup.sequence(steps)
  end

  it("raises for what the caller got wrong", function()
    assert.has_error(function() relup.sequence { "no_such_step" } end, 'step 1: there is no instruction "no_such_step"')
    assert.has_error(function() relup.sequence {} end, "a sequence needs at least one step")
    assert.has_error(function() relup.sequence { { name = "x" } } end, "step 1, x, has no function run")
    assert.has_error(function() relup.sequence { 7 } end, "step 1 is a number, not a name or a table")
    local one = relup.sequence { "install" }
    assert.has_error(function() one:run(node, { name = "chat" }) end,
      "the sequence has an install, so config.version must say which version, as a string")
    assert.has_error(function() one:run(node) end, "run takes a configuration: { name = \"myapp\", version = \"1.4.6\" }")
    assert.has_error(function() one:run(node, { version = "1", grace = -1 }) end, "config.grace is a number of milliseconds")
    assert.has_error(function() one:run(node, { version = "1", lease = math.huge }) end,
      "config.lease is a number of milliseconds")
    assert.has_error(function() one:run(node, { version = "1", patience = "long" }) end,
      "config.patience is a number of milliseconds")
  end)

  it("gives steps the node, their argument and a context, and reports what they gave", function()
    local given
    local report = assert(relup.sequence {
      { name = "first", run = function(...)
        given = { ... }
        given[3]:log("warning", "look out")
        return "seen"
      end },
      {
        name = "second", arguments = function(_, conf) return { conf.extra } end,
        run = function(_, argument) return argument[1] end,
      },
    }:run(node, config { extra = 7 }))
    assert.equal(node, given[1])
    assert.equal(atom "chat", given[2])
    assert.equal("chat", given[3].name)
    assert.is_true(report.ok)
    assert.equal("seen", report.steps[1].result)
    assert.equal(7, report.steps[2].result)
    assert.is_true(report.steps[2].ms >= 0 and report.steps[2].at >= report.steps[1].at)
    assert.matches("warning: look out", table.concat(lines, "\n"))
    check_clean()
  end)

  it("says a long reason once: its beginning when it comes, all of it at the end", function()
    local reason = ("{'EXIT',{badarg,[{m,f,1}]}}"):rep(40)
    local report, message = relup.sequence { { name = "long", run = function() return nil, reason, "refused" end } }
      :run(node, config())
    assert.is_nil(report)
    assert.equal("long failed: " .. reason, message)
    assert.matches("error: long failed after %d+%.%d ms: {'EXIT',.*%.%.%.", table.concat(lines, "\n"))
    assert.is_nil(table.concat(lines, "\n"):find(reason, 1, true))
    check_clean()
  end)

  it("undoes the last step first when one fails, and only those that were reached", function()
    local undone = {}
    local function step(name, run)
      return { name = name, run = run or function() return true end, undo = function() undone[#undone + 1] = name end }
    end
    local report, message, unfinished = relup.sequence {
      step "one", step "two", step("three", function() return nil, "the world said no", "no_way" end), step "four",
    }:run(node, config())
    assert.is_nil(report)
    assert.equal("three failed: the world said no", message)
    assert.equal("no_way", unfinished.code)
    assert.same({ "three", "two", "one" }, undone)
    assert.same({ "three", "two", "one" }, unfinished.undone)
    undone = {}
    assert(relup.sequence { step "one" }:run(node, config()))
    assert.same({}, undone)
    -- Once all have gone well, nothing is undone any more, whatever comes of what completes them.
    local last = step "two"
    function last.complete() return nil, "too late" end
    report, message = relup.sequence { step "one", last }:run(node, config())
    assert.is_nil(report)
    assert.equal("two (complete) failed: too late", message)
    assert.same({}, undone)
  end)

  it("resumes whom a step of one's own has suspended, also after an error in it", function()
    local counter = whereis "chat_counter"
    local report, message, unfinished = relup.sequence {
      { name = "mine", run = function(_, _, ctx)
        assert(ctx:suspend({ counter }, 1000))
        assert(ctx:apply("env", { {
          call = { "application", "set_env", { atom "kernel", atom "mine", 1 } },
          undo = { "application", "unset_env", { atom "kernel", atom "mine" } },
        } }))
        assert.equal(1, #node:suspended())
        error "then it went wrong"
      end },
    }:run(node, config())
    assert.is_nil(report)
    assert.matches("mine failed: .*then it went wrong\n", message .. "\n")
    assert.is_nil(message:find "traceback")
    assert.is_nil(tostring(unfinished):find "traceback")
    assert.matches("stack traceback:\n.*sequence_spec.lua", unfinished.steps[1].traceback)
    assert.equal("lua", unfinished.code)
    assert.same({ "1 process resumed", "1 call undone" }, unfinished.undone)
    assert.equal(atom "undefined", node:call("application", "get_env", { atom "kernel", atom "mine" }))
    check_clean()
  end)

  it("lets a signal end an undo that never comes back, and resumes all the same", function()
    local undone_first = false
    local report, _, unfinished = relup.sequence {
      { name = "stuck", run = function(_, _, ctx) return ctx:suspend({ whereis "chat_counter" }, 1000) end, undo = function()
        os.execute "(sleep 0.05; kill -TERM $PPID) &"
        return assert(node:sleep(60000))
      end },
      { name = "failing", run = function() return nil, "no" end, undo = function() undone_first = true end },
    }:run(node, config())
    assert.is_nil(report)
    assert.is_true(undone_first)
    assert.same({ "failing", "stuck could not be undone: interrupted by SIGTERM", "1 process resumed" }, unfinished.undone)
    check_clean()
  end)

  it("undoes nothing while the guard makes a call for it, or not for as long as its patience is", function()
    for _, case in ipairs { { patience = 20000, runs = 700, waited = 600 }, { patience = 300, runs = 1500, waited = 250 } } do
      lines = {}
      local undone_at
      local started = process.now()
      local report, _, unfinished = relup.sequence {
        { name = "installs", run = function(_, _, ctx)
          assert(ctx:suspend({ whereis "chat_counter" }, 1000))
          return ctx:performer():call("timer", "sleep", { case.runs }, 50)
        end, undo = function() undone_at = process.now() - started end },
      }:run(node, config { patience = case.patience })
      assert.is_nil(report)
      assert.equal("timeout", unfinished.code)
      assert.is_true(undone_at >= case.waited)
      assert.same({ "installs", "1 process resumed" }, unfinished.undone)
      local text = table.concat(lines, "\n")
      assert.matches("Waiting for timer:sleep to end on chat.*%. Ctrl%-C leaves it to the guard", text)
      assert.equal(case.patience == 300,
        text:find("Gave up waiting after 0 s: timer:sleep is still running on " .. node.name, 1, true) ~= nil)
      assert.truthy(process.wait_until(function() return guard.who(node) == false end))
      check_clean()
    end
  end)

  it("touches nothing any more when a second signal has left it to the guard", function()
    local counter = whereis "chat_counter"
    local resumed
    local report, message, unfinished = relup.sequence {
      { name = "installs", run = function(_, _, ctx)
        assert(ctx:suspend({ counter }, 1000))
        os.execute "(sleep 0.1; kill -TERM $PPID) &"
        return ctx:performer():call("timer", "sleep", { 1500 }, 5000)
      end, undo = function(_, ctx) resumed = { ctx:resume(1000) } end },
    }:run(node, config { log = function(_, text) if text:find "^Waiting for" then os.execute "kill -TERM $PPID" end end })
    assert.is_nil(report)
    assert.equal("interrupted", unfinished.code)
    local why = ("SIGTERM. The guard on %s undoes everything when timer:sleep has ended"):format(node.name)
    assert.same({ nil, why, "guard_lost" }, resumed)
    assert.same({ counter }, unfinished.still_suspended)
    assert.matches("1 process may still be suspended", message)
    assert.truthy(process.wait_until(function() return guard.who(node) == false end, 3000))
    check_clean()
  end)

  describe("whose guard answers late", function()
    local patience = guard.TIMEOUT

    setup(function() guard.TIMEOUT = 500 end)
    teardown(function() guard.TIMEOUT = patience end)

    -- A run that fails while its guard gets no time, for so many ms or until `holder` is told to go.
    local function fail_with_a_late_guard(ms)
      return relup.sequence {
        "check_ranch_acceptors", "check_ranch_connections", "suspend_ranch_acceptors", "suspend_channels",
        { name = "fails", run = function()
          assert(release:eval(([[
            Asks = self(),
            spawn(fun() ->
              register(holder, self()), true = erlang:suspend_process(whereis(edeliver_relup)), Asks ! held,
              receive go -> ok after %d -> ok end
            end),
            receive held -> ok end]]):format(ms)))
          return nil, "no"
        end },
        "resume_channels", "resume_ranch_acceptors",
      }:run(node, config())
    end

    it("undoes everything by itself when it has waited a little", function()
      local report, _, unfinished = fail_with_a_late_guard(700)
      assert.is_nil(report)
      assert.matches(SOCKETS .. " processes resumed", unfinished.undone[1])
      check_clean()
    end)

    it("leaves it to the guard when it has waited for long, and names who is still suspended", function()
      local report, message, unfinished = fail_with_a_late_guard(20000)
      assert.is_nil(report)
      assert.matches("nothing from here: the guard on .* does not answer. It undoes everything when it gets to it",
        unfinished.undone[1])
      assert.equal(SOCKETS, #unfinished.still_suspended)
      assert.matches(SOCKETS .. " processes may still be suspended", message)
      assert.is_true(node:is_open())
      release:eval "holder ! go"
      -- Though we are here, and our connection is looked after.
      assert.truthy(process.wait_until(function()
        node:sleep(50)
        return #node:suspended() == 0 and acceptors() == 100 and guard.who(node) == false
      end, 3000))
    end)
  end)

  it("undoes everything on its way out, wherever a signal arrives", function()
    local nth, seen = 0, nil
    -- A signal before each line of `finish`, in turn.
    local function arrive()
      local info = debug.getinfo(2, "Sn")
      if info.name ~= "finish" or not info.short_src:find "relup/run/init.lua$" then return end
      seen = seen + 1
      if seen == nth then os.execute "kill -TERM $PPID" end
    end
    repeat
      nth, seen = nth + 1, 0
      assert.is_true(core.catch_signals()) -- one that comes later than the run must not end this program
      debug.sethook(arrive, "l")
      pcall(function()
        relup.sequence {
          { name = "fails", run = function(_, _, ctx)
            assert(ctx:suspend({ whereis "chat_counter" }, 1000))
            return nil, "no"
          end },
        }:run(node, config())
      end)
      debug.sethook()
      core.block_signals()
      core.take_signal()
      core.release_signals()
      check_clean()
    until seen < nth
    assert.is_true(nth > 3)
  end)

  it("lets a guard go that a signal came upon while it was started", function()
    local ask = guard.ask
    finally(function() guard.ask = ask end)
    function guard.ask(self, request, ...)
      local answer = table.pack(ask(self, request, ...))
      if request == atom "hello" then os.execute "kill -TERM $PPID" end
      return table.unpack(answer, 1, answer.n)
    end
    local report, _, unfinished = relup.sequence { { name = "x", run = function() return true end } }:run(node, config())
    assert.is_nil(report)
    assert.equal("interrupted", unfinished.code)
    check_clean()
  end)

  it("survives a log that raises", function()
    local stderr, written = io.stderr, {}
    finally(function() io.stderr = stderr end) -- luacheck: ignore
    io.stderr = { write = function(_, text) written[#written + 1] = text end } -- luacheck: ignore
    local report, message, unfinished = relup.sequence {
      { name = "fails", run = function(_, _, ctx)
        assert(ctx:suspend({ whereis "chat_counter" }, 1000))
        return nil, "no"
      end },
    }:run(node, config { log = function() error "no room for the log" end, journal = folder .. "/log.jsonl" })
    assert.is_nil(report)
    assert.equal("fails failed: no", message)
    assert.same({ "1 process resumed" }, unfinished.undone)
    assert.is_truthy(assert(journal.read(folder .. "/log.jsonl")).ended)
    assert.matches("^undone: 1 process resumed %(the log failed: .*no room for the log%)\n$", written[#written])
    check_clean()
  end)

  it("lets a signal through a log", function()
    local report, _, unfinished = relup.sequence {
      { name = "says", run = function(_, _, ctx)
        ctx:log("info", "a signal, please")
        return true
      end },
    }:run(node, config { log = function(_, text) if text:find "please" then os.execute "kill -TERM $PPID" end end })
    assert.is_nil(report)
    assert.equal("interrupted", unfinished.code)
    check_clean()
  end)

  it("names who is still suspended where that cannot be looked at again", function()
    local counter = whereis "chat_counter"
    local suspended = node.suspended
    finally(function()
      node.suspended = nil
      assert(node:bulk_resume(counter, 1000))
    end)
    -- Neither we nor the guard can undo it.
    local its_guard
    local function cannot() return nil, "it could not be resumed", "timeout" end
    for _, answer in ipairs { function() error "no memory" end, function() return nil, "no answer", "timeout" end } do
      local report, _, unfinished = relup.sequence {
        { name = "fails", run = function(_, _, ctx)
          assert(ctx:suspend({ counter }, 1000))
          ctx.ledger.settle, its_guard = cannot, ctx.guard
          its_guard.undo, its_guard.hand_over, its_guard.wait_until_gone = cannot, cannot, cannot
          node.suspended = answer
          return nil, "no"
        end },
      }:run(node, config())
      node.suspended = nil
      assert.equal(suspended, node.suspended)
      assert.is_nil(report)
      assert.same({ counter }, unfinished.still_suspended)
      its_guard.undo = nil
      assert(its_guard:undo())
    end
  end)

  it("tells whoever watches of each step before it runs", function()
    local seen = {}
    assert(relup.sequence { { name = "a", run = function() return true end }, { name = "b", run = function() return true end } }
      :run(node, config { on_step = function(entry, position, count)
        seen[#seen + 1] = ("%s %s %d/%d"):format(entry.name, entry.status, position, count)
      end }))
    assert.same({ "a not run 1/2", "b not run 2/2" }, seen)
  end)

  it("refuses to yield: a coroutine that is dropped leaves nothing suspended", function()
    local outcome
    local thread = coroutine.create(function()
      outcome = table.pack(relup.sequence { { name = "yields", run = function(_, _, ctx)
        assert(ctx:suspend({ whereis "chat_counter" }, 1000))
        coroutine.yield()
        return true
      end } }:run(node, config()))
    end)
    assert.is_true(coroutine.resume(thread))
    assert.equal("dead", coroutine.status(thread))
    assert.matches("yields failed: a step must not yield: if its coroutine were dropped", outcome[2])
    check_clean()
  end)

  it("refuses to run while another runs, with the name of the other", function()
    local one = assert(guard.start(node, { who = "ann" }))
    local touched = false
    local report, message, unfinished = relup.sequence { { name = "x", run = function() touched = true return true end } }
      :run(node, config())
    assert.is_nil(report)
    assert.matches("Another upgrade, started by ann as .*, is active on chat", message)
    assert.equal("busy", unfinished.code)
    assert.is_false(touched)
    assert.equal("here", guard.who(node).status)
    one:leave()
  end)

  it("does not touch what another run has suspended after its own guard had gone", function()
    local counter = whereis "chat_counter"
    local bob
    local report, message, unfinished = relup.sequence {
      { name = "suspends", run = function(_, _, ctx) return ctx:suspend({ counter }, 1000) end },
      -- As after a long sleep: the guard has undone all and left, and somebody else has begun.
      { name = "sleeps", run = function(_, _, ctx)
        assert(ctx.guard:undo())
        bob = assert(guard.start(node, { who = "bob" }))
        assert(bob:suspend(node:pids { counter }))
        return node:bulk_suspend(counter, 1000)
      end },
      { name = "resumes", run = function(_, _, ctx) return ctx:resume(1000) end },
    }:run(node, config())
    assert.is_nil(report)
    assert.matches("resumes failed: the guard on .* has undone everything, or is gone%. Another upgrade, started by bob", message)
    assert.equal("guard_lost", unfinished.code)
    assert.same({}, unfinished.still_suspended)
    assert.matches("nothing from here: .*Another upgrade, started by bob", unfinished.undone[1])
    assert.equal(1, #node:suspended())
    assert.truthy(bob:undo())
    check_clean()
  end)

  it("keeps a journal", function()
    local path = folder .. "/kept.jsonl"
    local counter = whereis "chat_counter"
    local report = assert(relup.sequence {
      { name = "mine", run = function(_, _, ctx)
        assert(ctx:suspend({ counter }, 1000))
        local state = assert(journal.read(path))
        assert.same({ tostring(counter) }, state.pids)
        return true
      end },
    }:run(node, config { journal = path }))
    assert.equal(path, report.journal)
    local state = assert(journal.read(path))
    assert.same({}, state.pids)
    assert.is_true(state.ended.ok)
    assert.equal(node.name, state.run.node)
    assert.matches('"event":"step","name":"mine","status":"begun"', (process.read_file(path):gsub('"took":[%d.]+,', "")))
  end)

  it("leaves the journal of another run alone, while that is active and when it has ended", function()
    local path = folder .. "/shared.jsonl"
    local counter, second = whereis "chat_counter", nil
    local function run_second()
      local other <close> = release:connect()
      local before = process.read_file(path)
      local report, message, unfinished = relup.sequence {
        { name = "touches", run = function() error "it was begun" end },
      }:run(other, config { journal = path })
      assert.is_nil(report)
      assert.equal(before, process.read_file(path))
      return { code = unfinished.code, message = message }
    end
    assert(relup.sequence {
      { name = "mine", run = function(_, _, ctx)
        assert(ctx:suspend({ counter }, 1000))
        second = run_second()
        assert.same({ tostring(counter) }, assert(journal.read(path)).pids)
        return true
      end },
    }:run(node, config { journal = path }))
    assert.equal("busy", second.code)
    local third = run_second()
    assert.equal("journal", third.code)
    assert.matches("exists already, and a journal belongs to one run: name a new file", third.message, 1, true)
    check_clean()
  end)

  describe("in a dry run", function()
    it("makes all checks, says whom it would suspend, and touches nothing", function()
      assert(release:eval "release_handler:unpack_release(\"chat-2.0.0\")")
      local mine = 0
      local touching = { name = "mine", run = function() mine = mine + 1 return true end }
      local path = folder .. "/dry.jsonl"
      local report = assert(steps_with(touching, 5):run(node, config { version = "2.0.0", dry_run = true, journal = path }))
      assert.is_true(report.ok)
      assert.equal(SOCKETS, #report.would_suspend)
      assert.equal(0, mine)
      assert.equal("1.0.0", current())
      assert.is_nil(process.read_file(path))
      check_clean()
      local statuses = {}
      for _, step in ipairs(report.steps) do statuses[step.name] = step.status end
      assert.same({ "done", "done", "done", "skipped", "skipped" }, {
        statuses["install (prepare)"], statuses.check_ranch_connections, statuses.suspend_channels, statuses.mine,
        statuses.install,
      })
    end)

    it("fails where a check does", function()
      local check = { name = "mine", section = "check", run = function() return nil, "not today" end }
      local report, message = steps_with(check, 1):run(node, config { version = "2.0.0", dry_run = true })
      assert.is_nil(report)
      assert.equal("mine failed: not today", message)
      report, message = relup.sequence { "install" }:run(node, config { version = "9.9.9", dry_run = true })
      assert.is_nil(report)
      assert.matches("has no release 9.9.9: it knows", message, 1, true)
    end)

    it("tries the patching of a relup, and puts none on the node", function()
      local file = release.root .. "/releases/2.0.0/relup"
      local before = process.read_file(file)
      local report = assert(relup.sequence(STEPS):install(node, config { version = "2.0.0", dry_run = true }))
      assert.equal(SOCKETS, #report.would_suspend)
      assert.equal(before, process.read_file(file))
      check_clean()
    end)
  end)

  describe("around an install", function()
    it("upgrades, and downgrades by the same steps", function()
      local sequence = relup.sequence(STEPS)
      for _, version in ipairs { "2.0.0", "1.0.0" } do
        local report = assert(sequence:run(node, config { version = version }))
        assert.equal(version, current())
        assert.equal(SOCKETS, report.suspended)
        assert.same({ still = SOCKETS, woken = 0, died = 0, new = 0 }, report.after_install)
        local said = (version == "2.0.0" and "1.0.0 -> " or "2.0.0 -> ") .. version .. "; swapped in "
        assert.equal(said, report.steps[8].result:sub(1, #said))
        assert.is_true(report.stood_still_ms >= report.swap[1].stand_still)
        check_clean()
      end
      local stats = sockets:drain(5000)
      assert.same({ SOCKETS, 0, 0 }, { stats.open, stats.reconnects, stats.lost + stats.pending })
      sockets:go()
    end)

    it("looks again afterwards: who was woken by the relup, who died, who is new", function()
      -- The relup of 2.1.0 has release_handler suspend and resume the channels.
      assert(release:eval "release_handler:unpack_release(\"chat-2.1.0\")")
      local killed
      local steps = {
        "check_ranch_acceptors", "check_ranch_connections", "suspend_channels",
        { name = "meanwhile", after = "suspend_channels", before = "install", run = function(_, _, ctx)
          killed = ctx:suspended()[1]
          node:call("erlang", "exit", { killed, atom "kill" })
          sockets:open { port = release.ports.endpoint, count = 2 }
          return true
        end },
        "install", "resume_channels",
      }
      local report = assert(relup.sequence(steps):run(node, config {
        version = "2.1.0", target = "channels", engine = "otp", -- a swap resumes nobody that was suspended before
      }))
      assert.equal("2.1.0", current())
      assert.same({ still = 0, woken = SOCKETS - 1, died = 1, new = 2 }, report.after_install)
      assert.matches("19 were woken by the relup itself, 1 died, 2 are new and were never suspended", report.steps[6].result)
      assert.same({ killed }, report.lost)
      assert.equal(0, #node:suspended())
      assert(relup.sequence { "install" }:run(node, config { version = "1.0.0" }))
    end)
  end)

  describe("inside a relup", function()
    it("runs each step in its place, up and down, and puts the file back", function()
      local file = release.root .. "/releases/2.0.0/relup"
      local before = process.read_file(file)
      local told
      local mine = { name = "mine", after = "install", before = "resume_channels", run = function(_, argument)
        told = { argument, node:call("gen_server", "call", { whereis "chat_counter", atom "count" }) }
        assert.are_not.equal(before, process.read_file(file))
        return true
      end }
      for _, version in ipairs { "2.0.0", "1.0.0" } do
        local report = assert(steps_with(mine, 8):install(node, config { version = version }))
        assert.equal(version, current())
        assert.equal(before, process.read_file(file))
        assert.equal(atom "chat", told[1])
        assert.is_true(math.type(told[2]) == "integer")
        local ran = names(report)
        -- On the way down check_install_release evaluates nothing where the old release has no relup of its own.
        if version == "2.0.0" then
          assert.matches("check_install_release check_processes_running_old_code check_ranch_acceptors "
            .. "check_ranch_connections ", ran)
        end
        assert.matches("install_release check_processes_running_old_code check_ranch_acceptors check_ranch_connections "
          .. "suspend_ranch_acceptors suspend_channels finish_running_requests mine rerun_failed_requests resume_channels "
          .. "resume_ranch_acceptors put_relup_back$", ran)
        check_clean()
      end
    end)

    -- A step that kills the guard, as whoever is short of memory does.
    local function killing(section)
      return { name = "kills", section = section, run = function()
        node:call("erlang", "exit", { whereis(guard.NAME), atom "kill" })
        return true
      end }
    end

    it("restarts no node where the guard dies behind the point of no return, and undoes everything at once", function()
      local file = release.root .. "/releases/2.0.0/relup"
      local before, creation = process.read_file(file), node:call("erlang", "system_info", { atom "creation" })
      local report, message, unfinished = steps_with(killing(), 7):install(node, config { version = "2.0.0" })
      assert.is_nil(report)
      assert.equal("guard_gone", unfinished.code)
      assert.matches("the guard on .* is gone: ", message)
      assert.matches("the install ran to its end: 1.0.0 %-> 2.0.0", message)
      assert.same({}, unfinished.still_suspended)
      assert.is_nil(unfinished.restarted)
      assert.equal(creation, node:call("erlang", "system_info", { atom "creation" }))
      assert.equal("2.0.0", current())
      assert.equal(before, process.read_file(file))
      check_clean()
      assert(relup.sequence { "install" }:run(node, config { version = "1.0.0" }))
    end)

    it("is refused where the guard dies before that point", function()
      local report, _, unfinished = steps_with(killing "check", 3):install(node, config { version = "2.0.0" })
      assert.is_nil(report)
      assert.equal("guard_gone", unfinished.code)
      assert.equal("1.0.0", current())
      check_clean()
    end)

    it("makes the release permanent where asked, when all has gone well", function()
      for _, version in ipairs { "2.0.0", "1.0.0" } do
        local report = assert(relup.sequence { relup.install { permanent = true } }:install(node, config { version = version }))
        assert.equal("install (complete)", report.steps[#report.steps].name)
        assert.equal("permanent", release:releases()[version])
      end
    end)

    it("cancels when a check fails before the point of no return", function()
      local check = { name = "mine", section = "check", run = function() return nil, "the moon is full" end }
      local report, message = steps_with(check, 3):install(node, config { version = "2.0.0" })
      assert.is_nil(report)
      assert.equal("mine failed: the moon is full", message:match "^[^\n]*")
      assert.equal("1.0.0", current())
      assert.matches("the moon is full", table.concat(lines, "\n"))
      check_clean()
    end)

    it("cancels when there is no guard to ask, and the old version runs on", function()
      local file = release.root .. "/releases/2.0.0/relup"
      local before = process.read_file(file)
      local patched = relup.sequence(STEPS):patch(assert(relup.read(file))[1], { name = "chat" })
      local out = assert(io.open(file, "w"))
      out:write(require("edeliver.relup.consult").write { patched })
      out:close()
      local answer, message = release_handler.install_release(node, "2.0.0", 20000)
      assert.is_nil(answer)
      assert.matches("noproc", message)
      assert.equal("1.0.0", current())
      -- The same file, with us there: a sequence of nothing but an install serves what it calls for.
      local report = assert(relup.sequence { "install" }:run(node, config { version = "2.0.0" }))
      assert.equal("2.0.0", current())
      assert.matches("install %(prepare%) check_processes_running_old_code .*install check_processes_running_old_code",
        names(report))
      out = assert(io.open(file, "w"))
      out:write(before)
      out:close()
      check_clean()
      assert(relup.sequence { "install" }:run(node, config { version = "1.0.0" }))
    end)

    it("runs nothing for other processes on the node than what the relup calls for, and is kept by none of them", function()
      local mine = { name = "mine", after = "install", before = "resume_channels", run = function()
        return release:eval [==[
          Ask = fun(Name, Arguments) ->
            spawn(fun() -> put(said, catch gen_server:call(edeliver_relup, {run, Name, Arguments}, infinity)),
                           receive stop -> ok end end)
          end,
          register(asked, spawn(fun() -> receive stop -> ok end end)),
          persistent_term:put(askers, [Ask(Name, Arguments) || {Name, Arguments} <- [{sleep, [20]}, {resume_channels, none},
            {resume_ranch_acceptors, [chat]}, {mine, [chat]}, {suspend_channels, [other]}, {nonsense, []}, {7, 7}]]),
          timer:sleep(200), true ]==] == "true"
      end }
      local started = process.now()
      local report = assert(steps_with(mine, 8):install(node, config { version = "2.0.0" }))
      assert.is_true(process.now() - started < 10000 * process.patience)
      assert.equal("2.0.0", current())
      assert.matches("suspend_channels finish_running_requests mine rerun_failed_requests resume_channels "
        .. "resume_ranch_acceptors put_relup_back$", names(report))
      assert.equal("[true,true,true,true,true,true,true]", release:eval [==[
        [case process_info(Pid, dictionary) of
           {dictionary, [{said, {error, Text}}]} -> binary:match(Text, <<"does not call for now">>) =/= nomatch;
           Other -> Other
         end || Pid <- persistent_term:get(askers)] ]==])
      release:eval "[exit(Pid, kill) || Pid <- [whereis(asked) | persistent_term:get(askers)]]"
      assert.matches("a process on the node asked for sleep, which the relup does not call for now: refused",
        table.concat(lines, "\n"), 1, true)
      check_clean()
      assert(relup.sequence { "install" }:run(node, config { version = "1.0.0" }))
    end)

    it("cancels when a check fails, also where other processes have asked for something before", function()
      local asks = { name = "asks", section = "check", run = function()
        return release:eval [==[
          [spawn(fun() -> catch gen_server:call(edeliver_relup, {run, nonsense, [N]}, infinity) end) || N <- lists:seq(1, 9)],
          timer:sleep(200), true ]==] == "true"
      end }
      local fails = { name = "fails", section = "check", run = function() return nil, "the moon is full" end }
      local steps = { "check_processes_running_old_code", asks, "check_ranch_acceptors", fails }
      table.move(STEPS, 3, #STEPS, #steps + 1, steps)
      local report, message = relup.sequence(steps):install(node, config { version = "2.0.0" })
      assert.is_nil(report)
      assert.equal("fails failed: the moon is full", message:match "^[^\n]*")
      assert.equal("1.0.0", current())
      check_clean()
    end)

    it("says which step a relup asks for that nobody knows", function()
      local file = release.root .. "/releases/2.0.0/relup"
      local before = process.read_file(file)
      local unknown = { name = "unknown_step", section = "check", run = function() return true end }
      local patched = relup.sequence { unknown, "install" }:patch(assert(relup.read(file))[1], { name = "chat" })
      local out = assert(io.open(file, "w"))
      out:write(require("edeliver.relup.consult").write { patched })
      out:close()
      local report, message = relup.sequence { "install" }:run(node, config { version = "2.0.0" })
      assert.is_nil(report)
      assert.matches("the relup calls for unknown_step, which is no step of this sequence, and no instruction", message)
      assert.equal("1.0.0", current())
      out = assert(io.open(file, "w"))
      out:write(before)
      out:close()
      check_clean()
    end)
  end)
end)
