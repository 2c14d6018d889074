-- What is owed is known before it is done, and paid back on every way out; on a real node.

local core = require "edeliver.relup.core"
local ledgers = require "edeliver.relup.undo.ledger"
local shared = require "support.shared"
local term = require "edeliver.relup.term"
local text = require "edeliver.relup.node.erlang"
local erlang_node = require "support.node"
local process = require "support.process"

local atom = term.atom

describe("ledger", function()
  local node, ledger
  local erlang = shared(erlang_node.start)
  before_each(function()
    node = erlang:connect()
    ledger = ledgers.new(node)
  end)
  after_each(function() node:close() end)

  local function servers(count)
    return node:pids(assert(node:eval(("[begin {ok, P} = gen_event:start(), P end || _ <- lists:seq(1, %d)]."):format(count))))
  end

  -- An act that sets a variable of the node's environment, and the undo that takes it back.
  local function setting(word)
    return {
      call = { "application", "set_env", { atom "kernel", atom(word), 1 } },
      undo = { "application", "unset_env", { atom "kernel", atom(word) } },
    }
  end

  local function is_set(word) return node:call("application", "get_env", { atom "kernel", atom(word) }) ~= atom "undefined" end

  it("knows whom it asked, whoever answered", function()
    local pids = servers(3)
    assert.is_true(ledger:is_settled())
    assert.equal("ok", (ledger:suspend(pids, 1000)))
    assert.equal(3, #ledger:suspended())
    assert.is_false(ledger:is_settled())
    assert.equal(3, #node:suspended(pids))
    assert.equal("ok", (ledger:resume(1000)))
    assert.is_true(ledger:is_settled())
    assert.equal(0, #node:suspended(pids))
    assert.equal(3, ledger.most)
    assert.is_true(ledger.still.total > 0)
  end)

  it("counts as suspended only those of whom an answer came", function()
    local pids = servers(3)
    local bulk_suspend = node.bulk_suspend
    node.bulk_suspend = function() return nil, "the connection was lost", "nodedown" end
    finally(function() node.bulk_suspend = nil end)
    assert.is_nil((ledger:suspend(pids, 1000)))
    assert.equal(0, ledger.most)
    assert.equal(3, ledger.asked)
    node.bulk_suspend = bulk_suspend
    assert.equal("ok", (ledger:suspend(pids, 1000)))
    assert.equal(3, ledger.most)
    assert.equal("ok", (ledger:resume(1000)))
  end)

  it("goes on owing those that are silent, and forgets the dead", function()
    local pids = servers(2)
    local deaf = node:call("erlang", "spawn", { atom "timer", atom "sleep", term.list { atom "infinity" } })
    assert.equal("errors", (ledger:suspend(pids:plus(node:pids { deaf }), 200)))
    node:call("erlang", "exit", { pids[1], atom "kill" })
    assert.equal("errors", (ledger:resume(200)))
    assert.same({ deaf }, { ledger:suspended()[1] })
    assert.equal(1, #ledger:suspended())
    assert.same({ pids[1] }, ledger.lost)
    node:call("erlang", "exit", { deaf, atom "kill" })
    assert.is_true(ledger:settle())
  end)

  it("tells its observers before an act, and whoever refuses stops it", function()
    local seen = {}
    local refuse
    ledger:observe(function(event, data)
      seen[#seen + 1] = event
      if event == "suspend" then assert.equal(0, #node:suspended(data)) end
      if event == "apply" then assert.is_false(is_set "observed") end
      if refuse == event then return nil, "the disk is full", "journal" end
    end)
    local pids = servers(2)
    refuse = "suspend"
    assert.same({ nil, "the disk is full", "journal" }, { ledger:suspend(pids, 1000) })
    assert.equal(0, #node:suspended(pids))
    assert.is_true(ledger:is_settled())
    refuse = "apply"
    assert.same({ nil, "the disk is full", "journal" }, { ledger:apply("env", { setting "observed" }) })
    assert.is_false(is_set "observed")
    assert.is_true(ledger:is_settled())
    refuse = nil
    assert.equal("ok", (ledger:suspend(pids, 1000)))
    assert.is_true(ledger:apply("env", { setting "observed" }))
    -- What undoes is never stopped.
    refuse = "owed"
    assert.is_true(ledger:settle())
    assert.equal("suspend apply suspend apply owed undone", table.concat(seen, " "))
  end)

  it("tells every observer of what is done, whoever of them fails", function()
    local seen = {}
    ledger:observe(function(event)
      if event == "owed" or event == "undone" then return nil, "the disk is full", "journal" end
    end)
    ledger:observe(function(event) seen[#seen + 1] = event end)
    assert.equal("ok", (ledger:suspend(servers(1), 1000)))
    assert.is_true(ledger:apply("env", { setting "told" }))
    assert.is_true(ledger:settle())
    assert.equal("suspend apply owed undone", table.concat(seen, " "))
  end)

  it("keeps nothing of a batch that was refused before anything was sent", function()
    local seen = {}
    ledger:observe(function(event, data) seen[#seen + 1] = ("%s %d"):format(event, #data) end)
    local pids = servers(2)
    local other = term.types.new_opaque("pid", "Xw\7other@h" .. string.pack(">I4I4I4", 1, 0, 1))
    assert.equal("ok", (ledger:suspend(pids, 1000)))
    local answer, _, code = ledger:suspend({ servers(1)[1], other }, 1000)
    assert.same({ nil, "badarg" }, { answer, code })
    local more = servers(3)
    node:close()
    assert.is_nil((ledger:suspend(more, 1000)))
    assert.equal(2, #ledger:suspended())
    assert.is_true(ledger:settle())
    assert.equal(0, #node:suspended())
    assert.equal("suspend 2 suspend 3 owed 2 owed 0", table.concat(seen, " "))
  end)

  it("undoes by key, or everything, last first", function()
    assert.is_true(ledger:apply("one", { setting "first" }))
    assert.is_true(ledger:apply("two", { setting "second", setting "third" }))
    assert.is_true(is_set "first" and is_set "second" and is_set "third")
    local order = {}
    ledger:observe(function(event, entry) if event == "undone" then order[#order + 1] = entry.undo[3][2].name end end)
    assert.is_true(ledger:undo "two")
    assert.is_true(is_set "first")
    assert.is_false(is_set "second" or is_set "third")
    assert.is_true(ledger:undo())
    assert.equal("third second first", table.concat(order, " "))
  end)

  it("keeps the undo of an act that failed, and what could not be undone", function()
    local bad = { call = { "erlang", "error", { atom "oops" } }, undo = { "erlang", "error", { atom "again" } } }
    local done, message, code = ledger:apply("bad", { bad })
    assert.is_nil(done)
    assert.matches("oops", message)
    assert.equal("error", code)
    local undone, why = ledger:undo()
    assert.is_nil(undone)
    assert.matches("again", why)
    assert.equal(1, #ledger.undos)
    ledger.undos[1].undo = { "erlang", "node", {} }
    assert.is_true(ledger:settle())
  end)

  it("takes an answer {error, Reason} for a refusal, but not that something runs already", function()
    local function answering(reason)
      return { "erlang", "setelement", { 1, term.tuple { atom "x", atom(reason) }, atom "error" } }
    end
    local done, message, code = ledger:apply("a", { { call = answering "not_found", undo = answering "running" } })
    assert.is_nil(done)
    assert.matches("answered {error,not_found}", message)
    assert.equal("refused", code)
    assert.is_true(ledger:undo())
  end)

  it("forgets what was to be undone by somebody who is gone", function()
    local pid = node:call("erlang", "spawn", { atom "erlang", atom "node", term.list {} })
    local undo = { "gen_server", "call", { pid, 1, 100 } }
    assert.is_true(ledger:apply("gone", { { call = { "erlang", "node", {} }, undo = undo } }))
    assert.is_true(ledger:undo())
    assert.is_true(ledger:is_settled())
  end)

  it("goes on owing a file while the files' server is gone, as it is for a moment on a node out of processes", function()
    local path = term.charlist(erlang.folder .. "/written")
    assert.is_true(ledger:apply("file", { {
      call = { "file", "write_file", { path, "after" } }, undo = { "file", "write_file", { path, "before" } },
    } }))
    assert(node:eval "supervisor:terminate_child(kernel_sup, file_server_2).")
    assert.is_nil((ledger:undo()))
    assert.is_false(ledger:is_settled())
    assert(node:eval "supervisor:restart_child(kernel_sup, file_server_2).")
    assert.is_true(ledger:undo())
    assert.equal("before", require("support.process").read_file(erlang.folder .. "/written"))
  end)

  it("settles over a connection that was lost", function()
    local pids = servers(5)
    ledger:suspend(pids, 1000)
    ledger:apply("env", { setting "over" })
    node:close()
    assert.is_true(ledger:settle())
    assert.is_true(node:is_open())
    assert.equal(0, #node:suspended(pids))
    assert.is_false(is_set "over")
  end)

  -- Gives up on an act that goes on and on, setting what its undo unsets; and says whether it is at it still.
  local function given_up()
    local call = text.checked [[
      register(late_act, self()),
      F = fun F() -> application:set_env(kernel, late, 1), timer:sleep(1), F() end, F().]]
    node.act = function(_, module, fun, arguments) return getmetatable(node).act(node, module, fun, arguments, 100) end
    local undo = setting "late".undo
    local done, _, code = ledger:apply("late", { { call = call, undo = undo } })
    assert.same({ nil, "timeout" }, { done, code })
    assert.is_true(is_set "late")
    node.act = nil
    return function() return node:call("erlang", "whereis", { atom "late_act" }) ~= atom "undefined" end
  end

  it("undoes an act that was given up only when it has ended", function()
    local goes_on = given_up()
    assert.is_true(goes_on())
    assert.is_true(ledger:undo "late")
    assert.is_false(goes_on() or is_set "late")
  end)

  it("undoes an act of a connection that was lost only when it has ended", function()
    local goes_on = given_up()
    node:close()
    assert.is_true(ledger:settle())
    assert.is_false(goes_on() or is_set "late")
  end)

  it("does nothing in a dry run, and remembers all the same", function()
    local dry = ledgers.new(node, { dry = true })
    local pids = servers(3)
    assert.equal("ok", (dry:suspend(pids, 1000)))
    assert.is_true(dry:apply("env", { setting "dry" }))
    assert.equal(3, #dry:suspended())
    assert.equal(0, #node:suspended(pids))
    assert.is_false(is_set "dry")
    assert.equal("ok", (dry:resume(1000)))
    assert.is_true(dry:undo())
    assert.is_true(dry:is_settled())
  end)

  it("asks whether they may be suspended, of those who are new", function()
    local asked = {}
    local careful = ledgers.new(node, { check = function(pids)
      asked[#asked + 1] = #pids
      if #pids == 1 then return nil, "not this one", "not_suspendable" end
      return true
    end })
    local pids = servers(4)
    assert.equal("ok", (careful:suspend(node:pids { pids[1], pids[2] }, 1000)))
    local answer, message = careful:suspend(node:pids { pids[2], pids[3] }, 1000)
    assert.is_nil(answer)
    assert.equal("not this one", message)
    assert.equal(2, #careful:suspended())
    assert.same({ 2, 1 }, asked)
    assert.is_true(careful:settle())
  end)

  it("measures how long each stood still", function()
    ledger:suspend(servers(2), 1000)
    core.sleep(30)
    ledger:suspend(servers(1), 1000)
    ledger:resume(1000)
    local still = assert(ledger.still:by_pid())
    assert.is_true(still.max >= 30 and still.p50 >= 30)
    assert.is_true(still.p99 == still.max)
  end)

  it("leaves a file alone that somebody has changed since, and says so; one that was written in part it writes", function()
    local folder = process.temporary_folder()
    finally(function() process.remove_folder(folder) end)
    local path = folder .. "/relup"
    local function write(content)
      local file = assert(io.open(path, "w"))
      file:write(content)
      file:close()
    end
    local LEFT = {
      ["after it"] = "before", before = "before", aft = "before", befo = "before", [""] = "before", others = "others",
    }
    for now, left in pairs(LEFT) do
      local said = {}
      local careful = ledgers.new(node, { log = function(_, line) said[#said + 1] = line end })
      write "before"
      assert(careful:apply("relup", { { call = { "file", "write_file", { term.charlist(path), "after it" } },
        undo = { "file", "write_file", { term.charlist(path), "before" } } } }))
      write(now)
      assert.is_true(careful:undo "relup")
      assert.is_true(careful:is_settled())
      assert.equal(left, process.read_file(path))
      assert.same(left == "others" and { path .. " was changed by somebody else meanwhile: it is left as it is" } or {}, said)
    end
  end)

  it("looks before it says that an act is owed that failed: a file that is as it was needs no writing", function()
    local folder = process.temporary_folder()
    finally(function() process.remove_folder(folder) end)
    -- A file that cannot be written, for root neither: its path is a folder's; and one that can be read.
    local path = folder .. "/relup"
    local file = assert(io.open(path, "w"))
    file:write "before"
    file:close()
    local here, there = term.charlist(path), term.charlist(folder)
    local applied, _, code = ledger:apply("relup", { { call = { "file", "write_file", { there, "after" } },
      undo = { "file", "write_file", { there, "before" } } } })
    assert.is_nil(applied)
    assert.equal("refused", code)
    assert.is_nil((ledger:undo "relup"))
    assert.equal(1, #ledger.undos)
    -- The same where the file can be looked at, and cannot be written.
    ledger:forget()
    local act = node.act
    function node.act() return term.tuple { atom "error", atom "erofs" } end
    assert.is_nil((ledger:apply("relup", { { call = { "file", "write_file", { here, "after" } },
      undo = { "file", "write_file", { here, "before" } } } })))
    assert.is_true(ledger:undo "relup")
    assert.is_true(ledger:is_settled())
    node.act = act
  end)
end)
