-- The swap, on a real node: all new or all old, in every way that it can go.

local process = require "support.process"
local swapped = require "support.swapped"
local term = require "edeliver.relup.term"

local atom = term.atom

describe("a swap", function()
  local scene

  before_each(function() scene = swapped.start() end)
  after_each(function() scene:stop_all() end)

  local function all(pids, state)
    for _, pid in pids:iter() do assert.equal(state, scene:state(pid)) end
  end

  local function nobody_is_suspended() assert.equal(0, #assert(scene.node:suspended())) end

  it("loads all modules and changes all processes, and purges what is old", function()
    local pids = scene:servers("good", 20)
    local report = scene:swap(scene:stop("2", "up"))
    assert.equal("ok", report.outcome)
    assert.equal(20, report.processes)
    assert.is_true(report.stand_still >= report.suspend + report.load + report.change)
    for _, pid in pids:iter() do assert.matches("^{good,2,%[{%d+,%[%]}%]}$", scene:state(pid)) end
    assert.equal(2, scene:version "library")
    nobody_is_suspended()
    for _, name in ipairs { "server", "library" } do
      assert.is_false(scene.node:call("erlang", "check_old_code", { atom("swapped_" .. name) }))
    end
  end)

  it("changes nothing when check_install_release asks, and only counts once it is armed", function()
    local pids = scene:servers("good", 2)
    local prepared, watched = assert(scene:prepare(scene:stop("2", "up")))
    assert.equal(atom "ok", scene:call())
    assert.equal(1, scene:version "server")
    all(pids, "{good,1,[]}")
    assert(prepared:leave())
    watched:leave()
    scene:wait_until_gone()
    assert.is_false(scene.node:call("erlang", "check_old_code", { atom "swapped_server" }))
  end)

  it("goes down as OTP does: processes first, then code", function()
    local pids = scene:servers("good", 3)
    assert.equal("ok", scene:swap(scene:stop("2", "up")).outcome)
    assert.equal("ok", scene:swap(scene:stop("1", "down")).outcome)
    assert.equal(1, scene:version "server")
    assert.matches("^{good,1,%[{{down,", scene:state(pids[1]))
    assert.equal("ok", scene:swap(scene:stop("2", "up")).outcome)
    assert.matches("^{good,2,", scene:state(pids[1]))
  end)

  for _, kind in ipairs { "fails", "crashes" } do
    it("goes back where a code_change " .. kind .. ": code and states are as they were, and the call fails", function()
      local pids, bad = scene:servers("good", 50), scene:servers(kind, 1)
      local report, answer, _, code = scene:swap(scene:stop("2", "up"))
      assert.is_nil(answer)
      assert.equal("exit", code)
      assert.equal("refused", report.outcome)
      assert.matches("code_change", tostring(report.reason))
      assert.equal(1, scene:version "server")
      assert.equal(1, scene:version "library")
      assert.matches("^{good,1,", scene:state(pids[1]))
      assert.matches("^{" .. kind .. ",1,", scene:state(bad[1]))
      nobody_is_suspended()
      assert.matches("swapped%-1", tostring(scene.node:call("code", "which", { atom "swapped_server" })))
      -- And it can be tried again.
      assert(scene.node:call("erlang", "exit", { bad[1], atom "kill" }))
      assert.equal("ok", scene:swap(scene:stop("2", "up")).outcome)
      assert.matches("^{good,2,", scene:state(pids[50]))
    end)
  end

  it("waits for those that are slow, whatever becomes of the others meanwhile", function()
    local pids, slow = scene:servers("good", 5), scene:servers("slow", 1)
    assert(scene.node:eval("spawn(fun() -> timer:sleep(700), exit(Pid, kill) end), ok.", { Pid = pids[1] }))
    local report = scene:swap(scene:stop("2", "up"), { timeout = 5000 })
    assert.equal("ok", report.outcome, tostring(report.reason))
    assert.matches("^{slow,2,", scene:state(slow[1]))
    assert.matches("^{good,2,", scene:state(pids[2]))
  end)

  it("goes back where a code_change is late, but for the process that is", function()
    local pids, late = scene:servers("good", 5), scene:servers("slow", 1)
    local report = scene:swap(scene:stop("2", "up"), { timeout = 300 })
    assert.equal("refused", report.outcome)
    assert.matches("timeout", tostring(report.reason))
    assert.matches("^{good,1,", scene:state(pids[5]))
    -- What it is at may still change its state, for code that is gone by then: it is killed, and said.
    assert.equal(late[1], report.restarted[1].pid)
    assert.is_false(scene.node:call("erlang", "is_process_alive", { late[1] }))
    nobody_is_suspended()
  end)

  it("restarts those that fail, where that is wanted: the others are new", function()
    local pids, bad = scene:servers("good", 50), scene:servers("fails", 1)
    local report, answer = scene:swap(scene:stop("2", "up"), { on_failed = "restart" })
    assert.equal(atom "ok", answer)
    assert.equal("ok", report.outcome)
    assert.equal(bad[1], report.restarted[1].pid)
    assert.equal("swapped_server", report.restarted[1].module)
    assert.matches("^{good,2,", scene:state(pids[1]))
    assert.is_false(scene.node:call("erlang", "is_process_alive", { bad[1] }))
  end)

  it("goes forward where going back would take too long", function()
    local pids, bad = scene:servers("good", 5), scene:servers("fails", 1)
    local report = scene:swap(scene:stop("2", "up"), { max_stand_still = -1 })
    assert.equal("ok", report.outcome)
    assert.equal(bad[1], report.restarted[1].pid)
    assert.matches("^{good,2,", scene:state(pids[1]))
  end)

  it("never fails behind the point of no return, where that would restart the node", function()
    local pids, bad = scene:servers("good", 5), scene:servers("crashes", 1)
    local report, answer = scene:swap(scene:stop("2", "up", { past = true }))
    assert.equal(atom "ok", answer)
    assert.equal(bad[1], report.restarted[1].pid)
    assert.matches("^{good,2,", scene:state(pids[1]))
  end)

  it("refuses while a process runs old code, and names it", function()
    local lingers = scene:servers("good", 1)
    assert(scene.node:call("gen_server", "call", { lingers[1], atom "linger" }))
    -- It is in the code of version 1, and so cannot be suspended: make that old by hand.
    assert(scene.node:eval([=[ {ok, B} = file:read_file(File), {module, _} = code:load_binary(swapped_server, File, B). ]=],
      { File = term.charlist(scene.folder .. "/lib/swapped-2/ebin/swapped_server.beam") }))
    local prepared, message, code = scene:prepare(scene:stop("1", "down"))
    assert.is_nil(prepared)
    assert.equal("old_code", code)
    assert.matches(tostring(lingers[1]) .. " runs old code of swapped_server", message, 1, true)
    assert.is_truthy(scene.node:send(lingers[1], atom "go"))
  end)

  it("refuses where a process does not let itself be suspended, and resumes the others", function()
    local pids, busy = scene:servers("good", 5), scene:servers("good", 1)
    assert(scene.node:call("gen_server", "call", { busy[1], atom "linger" }))
    local report = scene:swap(scene:stop("2", "up"), { timeout = 200 })
    assert.equal("refused", report.outcome)
    assert.matches("suspend", tostring(report.reason))
    assert.equal(1, scene:version "server")
    all(pids, "{good,1,[]}")
    assert.is_truthy(scene.node:send(busy[1], atom "go"))
    nobody_is_suspended()
  end)

  it("leaves those suspended that were so before, and changes them, too", function()
    local pids, held = scene:servers("good", 5), scene:servers("good", 5)
    assert.equal("ok", scene.node:bulk_suspend(held))
    local report = scene:swap(scene:stop("2", "up"), { held = held })
    assert.equal("ok", report.outcome)
    assert.equal(5, report.processes)
    assert.equal(5, #assert(scene.node:suspended()))
    assert.equal("ok", scene.node:bulk_resume(held))
    for _, set in ipairs { pids, held } do assert.matches("^{good,2,", scene:state(set[1])) end
  end)

  it("loads code with an on_load, which prepared code may not have", function()
    local report = scene:swap(scene:stop("2", "up", { modules = { "server", "late" } }))
    assert.equal("ok", report.outcome)
    assert.equal(2, scene:version "late")
    assert.equal(2, scene.node:call("persistent_term", "get", { atom "swapped_late" }))
  end)

  it("goes back where an on_load fails", function()
    local pids = scene:servers("good", 2)
    assert(scene.node:call("persistent_term", "put", { atom "swapped_late_fails", true }))
    local report = scene:swap(scene:stop("2", "up", { modules = { "server", "late" } }))
    assert.equal("refused", report.outcome)
    assert.matches("{on_load,[{swapped_late,on_load_failure}]}", tostring(report.reason), 1, true)
    assert.equal(1, scene:version "late")
    assert.equal(1, scene:version "server")
    all(pids, "{good,1,[]}")
    -- Behind the point of no return nothing may fail: it is said.
    report = scene:swap(scene:stop("2", "up", { modules = { "server", "late" }, past = true }))
    assert.equal("ok", report.outcome)
    assert.equal("swapped_late", report.not_loaded[1].module)
    assert.equal(1, scene:version "late")
    assert.equal(2, scene:version "server")
  end)

  it("changes a supervisor as OTP does: it knows of its new child, which nobody has started", function()
    scene:start_application()
    local report = scene:swap(scene:tree_stop("2", "up"))
    assert.equal("ok", report.outcome)
    assert.matches("{b2,undefined,worker", scene:children(), 1, true)
    assert.equal("ok", scene:swap(scene:tree_stop("1", "static")).outcome)
    assert.equal(1, scene:version "tree")
  end)

  it("takes a supervisor back with the rest, children and all", function()
    scene:start_application()
    local before, _ = scene:children(), scene:servers("fails", 1)
    local report = scene:swap(scene:tree_stop("2", "up", { "server" }))
    assert.equal("refused", report.outcome)
    assert.equal(1, scene:version "tree")
    assert.equal(before, scene:children())
    nobody_is_suspended()
  end)

  it("leaves modules of kernel and stdlib alone", function()
    local stop = scene:stop("2", "up")
    stop.load[1].application = atom "stdlib"
    local found = assert(io.open(scene.folder .. "/RELEASES", "w"))
    found:write(('[{release,"swapped","1","0",[{swapped,"2","%s/lib/swapped-2"},{stdlib,"2","%s/lib/swapped-2"}],permanent}].\n')
      :format(scene.folder, scene.folder))
    found:close()
    local prepared, message, code = scene:prepare(stop)
    assert.is_nil(prepared)
    assert.equal("sticky", code)
    assert.matches("belongs to Erlang itself", message, 1, true)
  end)

  it("removes modules", function()
    local report = scene:swap(scene:stop("2", "up", { modules = { "server" }, remove = { atom "swapped_library" } }))
    assert.equal("ok", report.outcome)
    assert.is_false(scene.node:call("erlang", "module_loaded", { atom "swapped_library" }))
  end)

  describe("with an application that is added", function()
    local function is_there()
      local there = scene.node:eval("{whereis(swapped_added) =/= undefined, code:is_loaded(swapped_added) =/= false, "
        .. "lists:keymember(swapped_added, 1, application:loaded_applications()), is_list(code:lib_dir(swapped_added))}.")
      return tostring(there)
    end

    it("starts it before anybody is suspended", function()
      local pids = scene:servers("good", 2)
      assert.equal("ok", scene:swap(scene:bring_application(scene:stop("2", "up"))).outcome)
      assert.equal("{true,true,true,true}", is_there())
      assert.matches("^{good,2,", scene:state(pids[1]))
    end)

    it("takes it away again where the swap is refused", function()
      local pids = scene:servers("good", 2)
      scene:servers("fails", 1)
      local report = scene:swap(scene:bring_application(scene:stop("2", "up")))
      assert.equal("refused", report.outcome)
      assert.equal("{false,false,false,false}", is_there())
      assert.equal(1, scene:version "server")
      assert.matches("^{good,1,", scene:state(pids[1]))
    end)

    it("is refused where it does not start, and nothing has changed", function()
      local pids = scene:servers("good", 2)
      assert(scene.node:call("persistent_term", "put", { atom "swapped_added", atom "not_today" }))
      local report, _, message = scene:swap(scene:bring_application(scene:stop("2", "up")))
      assert.equal("refused", report.outcome)
      assert.matches("swapped_added.*not_today", message)
      assert.equal("{false,false,false,false}", is_there())
      assert.equal(1, scene:version "server")
      all(pids, "{good,1,[]}")
    end)
  end)

  it("says which file is missing", function()
    assert(os.remove(scene.folder .. "/lib/swapped-2/ebin/swapped_library.beam"))
    local prepared, message, code = scene:prepare(scene:stop("2", "up"))
    assert.is_nil(prepared)
    assert.equal("no_such_file", code)
    assert.matches("lib/swapped-2/ebin/swapped_library.beam", message, 1, true)
  end)

  it("says who still runs old code, for as long as it purges", function()
    local swap = require "edeliver.relup.step.swap"
    assert.is_false(swap.who(scene.node))
    local lingers = scene:servers("good", 1)
    assert(scene.node:call("gen_server", "call", { lingers[1], atom "linger" }))
    local stop = scene:stop("2", "up")
    stop.suspend, stop.change = {}, {}
    assert.equal("ok", scene:swap_only(stop).outcome)
    assert.is_truthy(process.wait_until(function()
      local who = assert(swap.who(scene.node))
      return #who.old == 1 and who
    end, 5000))
    local who = assert(swap.who(scene.node))
    assert.equal("purging", who.status)
    assert.equal("swapped_server", who.old[1].module)
    assert.equal(tostring(lingers[1]) .. " runs it", who.old[1].why)
    local prepared, message, code = scene:prepare(scene:stop("1", "down"))
    assert.is_nil(prepared)
    assert.equal("old_code", code)
    assert.matches("runs old code of swapped_server", message, 1, true)
    -- A swap that was refused goes on with the work of the one before it.
    assert.equal("purging", assert(swap.who(scene.node)).status)
    assert.is_truthy(scene.node:send(lingers[1], atom "go"))
    scene:wait_until_gone()
    assert.is_false(scene.node:call("erlang", "check_old_code", { atom "swapped_server" }))
  end)

  it("ends with its guard, and has changed nothing", function()
    local pids = scene:servers("good", 2)
    local _, watched = assert(scene:prepare(scene:stop("2", "up")))
    watched:leave()
    scene:wait_until_gone()
    all(pids, "{good,1,[]}")
    local _, _, code = scene:call()
    assert.equal("exit", code)
  end)

  it("carries out what is behind the point of no return though its guard is gone, and ends when nobody asks", function()
    local pids = scene:servers("good", 5)
    local first = scene:stop("2", "up", { modules = { "library" } })
    local second = scene:stop("2", "up", { modules = { "server" }, past = true })
    first.suspend, first.change, second.id = {}, {}, 2
    local prepared, watched = assert(scene:prepare { first, second })
    assert(prepared:arm(scene.node:pids {}))
    assert(scene.node:eval [=[
      spawn(fun() ->
        Ask = fun(Id) -> catch gen_server:call(edeliver_relup_swap, {swap, Id}, infinity) end,
        First = Ask(1), persistent_term:put(answer, First),
        (fun Wait() -> persistent_term:get(go_on, false) orelse begin timer:sleep(10), Wait() end end)(),
        persistent_term:put(answer, Ask(2)), (fun Wait() -> timer:sleep(10), Wait() end)()
      end). ]=])
    local function answer() return scene.node:call("persistent_term", "get", { atom "answer", atom "none" }) end
    assert.is_truthy(process.wait_until(function() return answer() == atom "ok" end, 5000))
    assert(scene.node:call("erlang", "exit", { watched.pid, atom "kill" }))
    assert.is_truthy(process.wait_until(function()
      return scene.node:call("erlang", "whereis", { atom "edeliver_relup" }) == atom "undefined"
    end, 5000))
    assert.is_truthy(process.wait_until(function()
      local who = assert(require("edeliver.relup.step.swap").who(scene.node))
      return who.status == "purging"
    end, 5000))
    assert.equal(1, scene:version "server")
    assert(scene.node:call("persistent_term", "put", { atom "go_on", true }))
    scene:wait_until_gone()
    assert.equal(2, scene:version "server")
    assert.matches("^{good,2,", scene:state(pids[1]))
    nobody_is_suspended()
  end)

  it("finishes what it has begun, whatever becomes of the operator and of the guard", function()
    local pids, slow = scene:servers("good", 5), scene:servers("slow", 1)
    local prepared, watched = assert(scene:prepare(scene:stop("2", "up")))
    assert(prepared:arm(scene.node:pids {}))
    -- A relup calls from a process of the node.
    assert(scene.node:eval [=[
      spawn(fun() -> persistent_term:put(answer, catch gen_server:call(edeliver_relup_swap, {swap, 1}, infinity)) end). ]=])
    process.sleep(300)
    assert(scene.node:call("erlang", "exit", { watched.pid, atom "kill" }))
    scene.node:close()
    assert(scene.node:reconnect())
    scene:wait_until_gone()
    assert.equal(atom "ok", scene.node:call("persistent_term", "get", { atom "answer" }))
    for _, set in ipairs { pids, slow } do assert.matches("^{%l+,2,", scene:state(set[1])) end
    nobody_is_suspended()
  end)

  it("finds one in 10,000 that fails, and takes all others back", function()
    local pids, bad = scene:servers("good", 9999), scene:servers("fails", 1)
    local report = scene:swap(scene:stop("2", "up"), { timeout = 20000 })
    assert.equal("refused", report.outcome)
    assert.matches(tostring(bad[1]), tostring(report.reason), 1, true)
    assert.equal(1, scene:version "server")
    local states = assert(scene.node:eval("lists:usort([element(2, sys:get_state(P)) || P <- Pids]).", { Pids = pids }, 30000))
    assert.equal("[1]", tostring(states))
    nobody_is_suspended()
  end)
end)
