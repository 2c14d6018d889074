-- Recovery on a real release: what sits suspended is found without a journal, and undone exactly with one.

local chat = require "support.chat"
local clients = require "support.clients"
local guard = require "edeliver.relup.undo.guard"
local journal = require "edeliver.relup.undo.journal"
local process = require "support.process"
local relup = require "edeliver.relup"
local term = require "edeliver.relup.term"

local atom = term.atom
local LISTENER = atom "Elixir.Chat.Endpoint.HTTP"

describe("recover", function()
  local release, sockets, node, folder, lines

  local function connect()
    return release:connect()
  end

  local function log(level, text) lines[#lines + 1] = level .. ": " .. text end

  setup(function()
    release = chat.start { next = {} }
    sockets = clients.start()
    sockets:open { port = release.ports.endpoint, count = 10 }
    node = connect()
    folder = process.temporary_folder()
  end)

  before_each(function() lines = {} end)

  teardown(function()
    node:close()
    sockets:stop()
    release:stop()
    process.remove_folder(folder)
  end)

  local function websockets() return node:pids(node:call("ranch", "procs", { LISTENER, atom "connections" })) end

  local function acceptors() return chat.acceptors(node) end

  -- A run that an accident ended: as it leaves node and journal when its guard has been killed, too.
  local function abandoned(path)
    local operator = connect()
    local book = assert(journal.open(operator, path))
    local context = require "edeliver.relup.step.context"
    local ctx = context.new { node = operator, name = "chat", config = {}, logger = function() end }
    ctx.ledger:observe(book:observer())
    for _, name in ipairs { "suspend_ranch_acceptors", "suspend_channels" } do
      assert(require("edeliver.relup.instructions." .. name).run(operator, atom "chat", ctx))
    end
    book.file:close()
    operator:close()
    assert.equal(0, acceptors())
    assert.equal(10, #node:suspended())
    return book.path
  end

  it("finds nothing where nothing is wrong", function()
    local result = assert(relup.recover(node, nil, { log = log }))
    assert.is_true(result.ok)
    assert.equal(0, #result.found)
    assert.equal("info: No process is suspended", lines[1])
  end)

  it("without a journal: shows, resumes, restarts acceptors", function()
    abandoned(folder .. "/one.jsonl")
    local shown = assert(relup.recover(node, nil, { log = log, dry_run = true }))
    assert.equal(10, #shown.found)
    assert.equal(10, #node:suspended())
    assert.equal(0, acceptors())
    assert.equal("warning: 10 processes are suspended", lines[1])
    assert.matches("to be undone: 100 acceptors of", table.concat(lines, "\n"))
    local result = assert(relup.recover(node, nil, { log = log }))
    assert.is_true(result.ok)
    assert.equal(0, #result.still_suspended)
    assert.equal(0, #node:suspended())
    assert.equal(100, acceptors())
  end)

  it("with a journal: undoes what that run owed, and nothing else", function()
    local path = abandoned(folder .. "/two.jsonl")
    local counter = node:call("erlang", "whereis", { atom "chat_counter" })
    assert.equal("ok", (node:bulk_suspend(counter, 1000)))
    local result = assert(relup.recover(node, path, { log = log }))
    assert.is_true(result.ok)
    assert.equal(10, #result.found)
    assert.equal(100, acceptors())
    assert.equal(1, #node:suspended())
    assert.equal(counter, node:suspended()[1])
    node:bulk_resume(counter, 1000)
    -- The journal knows that it is settled now.
    local state = assert(journal.read(path))
    assert.same({ 0, 0 }, { #state.pids, #state.undos })
    assert.equal("recover", state.ended.by)
  end)

  describe("with a journal that somebody else has had a hand in", function()
    local function forged(name, call)
      local path = abandoned(folder .. "/" .. name)
      local book = { path = path, file = assert(io.open(path, "ab")), started = 0 }
      setmetatable(book, journal)
      local undo = term.tuple { atom(call[1]), atom(call[2]), term.list(call[3]) }
      assert(book:observer()("apply", { { key = "acceptors", term = undo } }))
      book.file:close()
      return path
    end

    it("makes no call that no step of ours journals, says which one it is, also in a dry run, and does nothing at all", function()
      local proof = folder .. "/proof"
      local path = forged("forged.jsonl", { "os", "cmd", { term.charlist("touch " .. proof) } })
      for _, dry_run in ipairs { true, false } do
        local result, message, code = relup.recover(node, path, { log = log, dry_run = dry_run })
        assert.same({ nil, "not_ours" }, { result, code })
        assert.matches("os:cmd(\"touch " .. proof .. "\")", message, 1, true)
        assert.matches("--force", message, 1, true)
      end
      assert.is_nil(process.read_file(proof))
      assert.same({ 10, 0 }, { #node:suspended(), acceptors() })
      -- As the operator's word wants it.
      local result = assert(relup.recover(node, path, { log = log, force = true }))
      assert.is_true(result.ok)
      assert.truthy(process.read_file(proof))
      assert.matches("to be undone: acceptors, by os:cmd(", table.concat(lines, "\n"), 1, true)
      assert.matches("to be undone: acceptors, by restart_children.erl:run(Children = [{<", table.concat(lines, "\n"), 1, true)
      assert.same({ 0, 100 }, { #node:suspended(), acceptors() })
    end)

    it("is refused where others can write it", function()
      local path = abandoned(folder .. "/open.jsonl")
      os.execute("chmod 666 " .. process.quote(path))
      assert.equal("not_private", select(3, relup.recover(node, path, { log = log })))
      os.execute("chmod 600 " .. process.quote(path))
      assert.is_true(assert(relup.recover(node, path, { log = log })).ok)
    end)
  end)

  it("without a journal: shows connections as supervisors again that were hidden from the release handler", function()
    local PLAIN = atom "chat_plain"
    sockets:open { port = release.ports.plain, count = 2, topic = false }
    local function typed_supervisor()
      local sups = node:eval "[S || {_, S} <- ranch_server:get_connections_sups(chat_plain)]."
      local count = 0
      for _, counts in ipairs(assert(require("edeliver.relup.otp.supervisor").count_children(node, sups))) do
        count = count + counts.supervisors
      end
      return count
    end
    assert.equal(2, typed_supervisor())
    local operator = connect()
    local ctx = require("edeliver.relup.step.context").new {
      node = operator, name = "chat", config = { listener = "chat_plain" }, installs = true, logger = function() end,
    }
    for _, name in ipairs { "suspend_ranch_acceptors", "suspend_channels" } do
      assert(require("edeliver.relup.instructions." .. name).run(operator, atom "chat", ctx))
    end
    operator:close()
    assert.equal(2, #node:suspended())
    assert.equal(0, typed_supervisor())
    assert.is_true(assert(relup.recover(node, nil, { log = log })).ok)
    assert.equal(0, #node:suspended())
    assert.equal(2, typed_supervisor())
    for _, pid in ipairs(node:call("ranch", "procs", { PLAIN, atom "acceptors" })) do assert.equal("pid", term.kind(pid)) end
  end)

  it("finds those that hibernated when they were suspended", function()
    local pid = node:call("proc_lib", "spawn", {
      atom "gen_server", atom "enter_loop", term.list { atom "chat_counter", term.list {}, 0, atom "hibernate" },
    })
    local function sleeps() return node:process_info(pid, { "current_function" }).current_function[2] == atom "hibernate" end
    assert.truthy(process.wait_until(sleeps))
    assert.equal("ok", (node:bulk_suspend(pid, 1000)))
    assert.truthy(process.wait_until(sleeps))
    assert.equal(0, #node:suspended())
    local result = assert(relup.recover(node, nil, { log = log }))
    assert.same({ pid }, { result.found[1] })
    assert.is_true(result.ok)
    assert.equal(0, node:call("gen_server", "call", { pid, atom "count" }))
    node:call("erlang", "exit", { pid, atom "kill" })
  end)

  it("asks those that hibernate all at once: many that stay silent take no longer than one", function()
    local silent = node:pids(assert(node:eval [=[
      [proc_lib:spawn(erlang, hibernate, [timer, sleep, [infinity]]) || _ <- lists:seq(1, 300)].]=]))
    assert.truthy(process.wait_until(function() return #select(2, node:suspended(silent)) == 300 end))
    local started = process.now()
    local result = assert(relup.recover(node, nil, { log = log }))
    assert.is_true(process.now() - started < 3000 * process.patience)
    assert.is_true(result.ok)
    for _, pid in silent:iter() do node:call("erlang", "exit", { pid, atom "kill" }) end
  end)

  it("keeps others out while it looks and acts, and is kept out by them", function()
    local operator <close> = connect()
    assert.equal("ok", (node:bulk_suspend(websockets(), 1000)))
    local refused
    assert(relup.recover(node, nil, { log = function()
      refused = refused or { relup.sequence { { name = "x", run = function() return true end } }:run(operator,
        { name = "chat", journal = false, log = function() end }) }
    end }))
    assert.is_nil(refused[1])
    assert.equal("busy", refused[3].code)
    assert.matches("Another upgrade, started by .*, for a recovery, as .*, is active", refused[2])
    assert.is_false(guard.who(node))
    assert.equal(0, #node:suspended())
  end)

  it("leaves a run alone that goes on", function()
    local operator <close> = connect()
    local one = assert(guard.start(operator, { who = "ann" }))
    local result, message, code = relup.recover(node, nil, { log = log })
    assert.is_nil(result)
    assert.equal("busy", code)
    assert.matches("Another upgrade, started by ann as .*, is active on", message)
    one:leave()
  end)

  it("leaves a run alone whose operator comes back just then", function()
    assert(node:eval [[
      Who = {guard, <<"ann">>, gone, 1000, 1, 0},
      Guard = spawn(fun() ->
        receive {'$gen_call', First, who} -> gen_server:reply(First, Who) end,
        receive {'$gen_call', Second, undo} -> gen_server:reply(Second, {busy, setelement(3, Who, here)}) end
      end),
      register(edeliver_relup, Guard).]])
    local result, message, code = relup.recover(node, nil, { log = log })
    assert.same({ nil, "busy" }, { result, code })
    assert.matches("Another upgrade, started by ann, is active on", message)
  end)

  it("does not wait for an operator who is gone", function()
    local operator = connect()
    local one = assert(guard.start(operator, { who = "ann", grace = 60000 }))
    assert(one:suspend(websockets()))
    node:bulk_suspend(websockets(), 1000)
    operator:close()
    assert.truthy(process.wait_until(function() return guard.who(node).status == "gone" end))
    assert.is_true(assert(relup.recover(node, nil, { log = log })).ok)
    assert.is_false(guard.who(node))
    assert.equal(0, #node:suspended())
    assert.matches("The upgrade started by ann as .* has lost its operator", lines[1])
  end)

  it("refuses the journal of another node, and does nothing where the node was restarted", function()
    local path = folder .. "/three.jsonl"
    local book = assert(journal.open({ name = "other@web1", call = function() return 1 end }, path))
    book.file:close()
    local result, message, code = relup.recover(node, path, { log = log })
    assert.is_nil(result)
    assert.equal("wrong_node", code)
    assert.matches("the journal of a run on other@web1, not on", message)
    path = folder .. "/four.jsonl"
    book = assert(journal.open({ name = node.name, call = function() return 1 end }, path))
    book:observer()("suspend", websockets())
    book.file:close()
    result = assert(relup.recover(node, path, { log = log }))
    assert.is_true(result.restarted)
    assert.equal(0, #result.found)
  end)

  -- A run that had its steps in the relup, on a node that has been restarted since or not.
  for _, restarted in ipairs { true, false } do
    it(("puts the relup back of a run%s, unless somebody has changed it since"):format(
      restarted and " whose node was restarted" or ""), function()
      local file, before = folder .. "/relup", '{"2.0.0",[{"1.0.0",[],[point_of_no_return]}],[]}.\n'
      local patched = '{"2.0.0",[{"1.0.0",[],[{apply,{gen_server,call,[edeliver_relup,{run,a,[chat]},infinity]}}]}],[]}.\n'
      local creation = restarted and 1 or assert(node:call("erlang", "system_info", { atom "creation" }))
      local others = '{"2.0.0",[{"1.0.1",[],[point_of_no_return]}],[]}.\n'
      -- The last two were cut off while they were written.
      for i, case in ipairs {
        { patched, before, 1 }, { before, before, 0 }, { others, others, 0 }, { patched:sub(1, 20), before, 1 },
        { "", before, 1 },
      } do
        local handle = assert(io.open(file, "wb"))
        handle:write(case[1])
        handle:close()
        local path = ("%s/relup%d-%d.jsonl"):format(folder, creation, i)
        local book = assert(journal.open({ name = node.name, call = function() return creation end }, path))
        book:observer()("suspend", websockets())
        local undo = { "file", "write_file", { term.charlist(file), before } }
        local stop = require("edeliver.relup.web.listeners.ranch").resume { ref = atom "gone" }
        local function entry(call)
          return { key = "relup", undo = call, term = term.tuple { atom(call[1]), atom(call[2]), term.list(call[3]) } }
        end
        book:observer()("apply", { entry(undo), entry(stop) })
        book.file:close()
        local result = assert(relup.recover(node, path, { log = log }))
        assert.same({ restarted or nil, true }, { result.restarted, result.ok })
        assert.equal(case[3] + (restarted and 0 or 1), result.undos)
        assert.equal(case[2], process.read_file(file))
      end
      assert.matches("has been changed since: it is left as it is", table.concat(lines, "\n"))
    end)
  end

  it("no socket has noticed any of it", function()
    local stats = sockets:drain(5000)
    assert.same({ 12, 0, 0 }, { stats.open, stats.reconnects, stats.lost + stats.pending })
  end)
end)
