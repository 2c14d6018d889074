-- Children of supervisors that a swap changes, and code that lies in a file of its own: new children run and removed ones are
-- gone when the swap is over, or all is as it was.

local swap_words = require "edeliver.relup.step.swap_words"
local swapped = require "support.swapped"
local term = require "edeliver.relup.term"

local atom, tuple, list = term.atom, term.tuple, term.list

describe("a swap with children", function()
  local scene

  before_each(function() scene = swapped.start() end)
  after_each(function() scene:stop_all() end)

  local function pool(kind)
    assert(scene.node:eval("[{module, M} = code:ensure_loaded(M) || M <- [swapped_pool, swapped_child, swapped_gone]].", {}))
    return assert(scene.node:call("swapped_pool", "start", { atom(kind or "plain") }))
  end

  local function stop(version, fields)
    local up = version == "2"
    local made = scene:stop(version, "up", { modules = fields and fields.modules or { "pool", "child" } })
    made.children, made.suspend = true, { atom "swapped_pool", atom "swapped_child" }
    made.change = {
      { module = atom "swapped_pool", mode = up and "up" or "static", extra = list {} },
      { module = atom "swapped_child", mode = up and "up" or "down", extra = list {} },
    }
    if up then made.remove = { atom "swapped_gone" } else
      made.load[#made.load + 1] = { module = atom "swapped_gone", application = atom "swapped", version = "1" }
    end
    return made
  end

  -- "kept 2, first 2", in the order of their starts.
  local function children()
    return scene.node:eval [=[ lists:join(", ", [io_lib:format("~w ~w", [Id, case P of undefined -> undefined;
      _ -> element(2, gen_server:call(P, state)) end])
      || {Id, P, _, _} <- lists:reverse(supervisor:which_children(swapped_pool))]). ]=]
  end

  local function text() return tostring(assert(scene.node:call("erlang", "iolist_to_binary", { children() }))) end

  local function pid_of(id)
    local text_of = "element(2, lists:keyfind(Id, 1, supervisor:which_children(swapped_pool)))."
    return assert(scene.node:eval(text_of, { Id = atom(id) }))
  end

  local function set(id, what)
    assert(scene.node:call("persistent_term", "put", { tuple { atom "swapped_child", atom(id) }, atom(what) }))
  end

  local function ended(id)
    return tostring(scene.node:call("persistent_term", "get", { tuple { atom "swapped_ended", atom(id) }, atom "no" }))
  end

  local function nobody_is_suspended() assert.equal(0, #assert(scene.node:suspended())) end

  local function is_alive(pid) return scene.node:call("erlang", "is_process_alive", { pid }) end

  -- All is as before: version 1, the same processes, and the supervisor still looks after its own.
  local function is_as_before(kept, gone)
    assert.equal("kept 1, gone 1", text())
    assert.equal(kept, pid_of "kept")
    if gone then assert.equal(gone, pid_of "gone") end
    assert.equal(1, scene:version "pool")
    assert.equal(1, scene:version "child")
    assert.is_true(scene.node:call("erlang", "module_loaded", { atom "swapped_gone" }))
    nobody_is_suspended()
  end

  it("starts new ones in order, and ends and deletes those that are gone before their module goes; and back", function()
    pool()
    local kept, gone = pid_of "kept", pid_of "gone"
    local report = scene:swap(stop "2")
    assert.equal("ok", report.outcome, tostring(report.reason))
    assert.equal("first 2, kept 2, second 2", text())
    assert.equal(kept, pid_of "kept")
    assert.is_false(is_alive(gone))
    assert.equal("{shutdown,2}", ended "gone")
    assert.same({ 2, 1 }, { report.started, report.ended })
    assert.is_false(scene.node:call("erlang", "module_loaded", { atom "swapped_gone" }))
    nobody_is_suspended()
    report = scene:swap(stop "1")
    assert.equal("ok", report.outcome, tostring(report.reason))
    assert.equal("kept 1, gone 1", text())
    assert.equal(kept, pid_of "kept")
    assert.same({ 1, 2 }, { report.started, report.ended })
    -- The supervisor looks after a child that a swap has started.
    assert(scene.node:call("supervisor", "terminate_child", { atom "swapped_pool", atom "gone" }))
    assert(scene.node:call("supervisor", "restart_child", { atom "swapped_pool", atom "gone" }))
    assert.equal("kept 1, gone 1", text())
  end)

  it("leaves those alone that were added by hand, and a supervisor whose code does not change", function()
    local supervisor = pool()
    assert(scene.node:eval("{ok, _} = supervisor:start_child(swapped_pool, {hand, {swapped_child, start_link, [hand, none]}, "
      .. "permanent, 5000, worker, [swapped_child]})."))
    local hand = pid_of "hand"
    local report = scene:swap(stop "2")
    assert.equal("ok", report.outcome, tostring(report.reason))
    assert.equal("first 2, kept 2, second 2, hand 2", text())
    assert.equal(hand, pid_of "hand")
    local state = assert(scene.node:call("sys", "get_state", { supervisor }))
    -- The same code once more: it says that the supervisor changes, and it does not.
    report = scene:swap(stop("2", { modules = { "pool", "library" } }))
    assert.equal("ok", report.outcome, tostring(report.reason))
    assert.equal(tostring(state), tostring(assert(scene.node:call("sys", "get_state", { supervisor }))))
    assert.same({ 0, 0 }, { report.started, report.ended })
  end)

  it("leaves a supervisor as it is whose init cannot run while its table is there, and says so", function()
    local supervisor = pool "table"
    local kept, gone = pid_of "kept", pid_of "gone"
    local report = scene:swap(stop "2")
    assert.equal("ok", report.outcome, tostring(report.reason))
    assert.same({ 0, 0 }, { report.started, report.ended })
    assert.equal(supervisor, report.unchanged[1].pid)
    assert.equal("swapped_pool", report.unchanged[1].module)
    assert.matches("swapped_pool was not changed, and runs as before: its init cannot run while", swap_words.done(report), 1,
      true)
    assert.equal(2, scene:version "pool")
    assert.equal(kept, pid_of "kept")
    assert.is_true(is_alive(gone))
    nobody_is_suspended()
  end)

  for _, how in ipairs { "does_not_want_to", "hangs" } do
    it(("goes back where one %s: all is as it was"):format(how == "hangs" and "hangs" or "fails to start"), function()
      pool()
      local kept, gone = pid_of "kept", pid_of "gone"
      set("second", how)
      local report, answer, message = scene:swap(stop "2", { timeout = 1000 })
      assert.equal("refused", report.outcome)
      assert.is_nil(answer)
      assert.matches("children", message)
      assert.matches(how == "hangs" and "timeout" or "{second,does_not_want_to}", tostring(report.reason), 1, true)
      is_as_before(kept, gone)
      assert.equal("{shutdown,2}", ended "first")
      set("second", "ok")
      assert.equal("ok", scene:swap(stop "2").outcome)
      assert.equal("first 2, kept 2, second 2", text())
    end)
  end

  it("goes forward without one where it may not fail, and says which", function()
    pool()
    set("first", "does_not_want_to")
    local asked = stop "2"
    asked.cancels = false
    local report = scene:swap(asked)
    assert.equal("ok", report.outcome)
    assert.equal("swapped_pool", report.not_started[1].module)
    assert.equal(2, scene:version "pool")
    assert.matches("first undefined", text())
    nobody_is_suspended()
  end)

  it("ends one first whose name a new one takes, and starts it again where another fails", function()
    pool "same_name"
    local kept = pid_of "kept"
    local report = scene:swap(stop "2")
    assert.equal("ok", report.outcome, tostring(report.reason))
    assert.equal("kept 2, first 2, second 2", text())
    assert.equal("ok", scene:swap(stop "1").outcome)
    assert.equal("kept 1, gone 1", text())
    set("second", "does_not_want_to")
    report = scene:swap(stop "2")
    assert.equal("refused", report.outcome)
    is_as_before(kept)
  end)

  it("starts one anew whose id stays and whose module goes, and again where another fails", function()
    pool "same_id"
    local kept, gone = pid_of "kept", pid_of "gone"
    set("second", "does_not_want_to")
    assert.equal("refused", scene:swap(stop "2").outcome)
    is_as_before(kept)
    assert.not_equal(gone, pid_of "gone")
    set("second", "ok")
    local report = scene:swap(stop "2")
    assert.equal("ok", report.outcome, tostring(report.reason))
    assert.equal("kept 2, gone 2, second 2", text())
    assert.equal(kept, pid_of "kept")
  end)

  it("loads code from a file of its own, with its folder in the code path, and leaves both where it goes back", function()
    local lib = scene.folder .. "/lib"
    for _, version in ipairs { "1", "2" } do
      local command = "mkdir LIB/../consolidated-V && mv LIB/swapped-V/ebin/swapped_library.beam LIB/../consolidated-V"
      assert(os.execute((command:gsub("V", version):gsub("LIB", lib))))
    end
    local from, to = lib .. "/../consolidated-1", lib .. "/../consolidated-2"
    assert(scene.node:eval("true = code:add_patha(From), true = code:delete(swapped_library), code:purge(swapped_library), "
      .. "{module, _} = code:load_file(swapped_library), code:purge(swapped_library), ok.", { From = term.charlist(from) }))
    local function paths()
      return assert(scene.node:eval("[lists:member(P, code:get_path()) || P <- Paths].",
        { Paths = list { term.charlist(from), term.charlist(to) } }))
    end
    local function consolidated(there)
      local made = scene:stop("2", "up", { modules = { "server" } })
      made.load[2] = { module = atom "swapped_library", path = there .. "/swapped_library.beam" }
      made.paths = { { from = from, to = to } }
      return made
    end
    local bad = scene:servers("fails", 1)
    assert.equal("refused", scene:swap(consolidated(to)).outcome)
    assert.equal(1, scene:version "library")
    assert.equal("[true,false]", tostring(paths()))
    assert(scene.node:call("erlang", "exit", { bad[1], atom "kill" }))
    assert.equal("ok", scene:swap(consolidated(to)).outcome)
    assert.equal(2, scene:version "library")
    assert.equal("[false,true]", tostring(paths()))
    assert.equal(to .. "/swapped_library.beam", term.text(scene.node:call("code", "which", { atom "swapped_library" })))
    local prepared, message, code = scene:prepare(consolidated(lib .. "/nowhere"))
    assert.is_nil(prepared)
    assert.equal("no_such_file", code)
    assert.matches("nowhere/swapped_library.beam", message, 1, true)
  end)
end)
