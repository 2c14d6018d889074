-- An undo of what is not there any more, by the ledger and by the guard: neither may owe it for ever, nor take what failed for
-- done. And the way out where one can never work.

local guard = require "edeliver.relup.undo.guard"
local ledgers = require "edeliver.relup.undo.ledger"
local process = require "support.process"
local ranch = require "edeliver.relup.web.listeners.ranch"
local relup = require "edeliver.relup"
local supervisor = require "edeliver.relup.otp.supervisor"
local term = require "edeliver.relup.term"
local erlang_node = require "support.node"

local atom, tuple, list = term.atom, term.tuple, term.list

describe("an undo", function()
  local erlang, node, folder

  setup(function()
    erlang = erlang_node.start { args = { "-pa", process.root .. "/build/erlang/ranch2/ranch-2.1.0/ebin" } }
    node = erlang:connect()
    folder = process.temporary_folder()
    assert(node:eval "{ok, _} = application:ensure_all_started(ranch), ok.")
  end)

  teardown(function()
    node:close()
    erlang:stop()
    process.remove_folder(folder)
  end)

  -- One that a spec has left behind would spoil all that follow.
  after_each(function()
    local left = node:call("erlang", "whereis", { atom(guard.NAME) })
    if term.kind(left) == "pid" then node:call("erlang", "exit", { left, atom "kill" }) end
    node:fence(nil)
  end)

  local function write(name) return { "file", "write_file", { term.charlist(folder .. "/" .. name), "before" } } end

  -- Whether each counts as undone.
  local CASES = {
    { "of a file whose folder is gone", true, function() return write "gone/relup" end },
    { "of a file below what is no folder any more", true, function()
      assert(io.open(folder .. "/plain", "w")):close()
      return write "plain/relup"
    end },
    { "of a file that cannot be written", false, function()
      os.execute(("mkdir -p '%s/relup'"):format(folder))
      return write "relup"
    end },
    { "of a listener that was removed", true, function() return ranch.resume { ref = atom "nobody" } end },
    { "of a child whose specification is gone", true, function()
      return supervisor.restart_children(node, { node:call("erlang", "whereis", { atom "ranch_sup" }) }, { atom "nobody" })
    end },
    { "that answers error", false, function() return { "erlang", "hd", { list { atom "error" } } } end },
    { "that answers {error, Reason}", false, function()
      return { "erlang", "hd", { list { tuple { atom "error", atom "oops" } } } }
    end },
    { "of what runs again already", true, function()
      return { "erlang", "hd", { list { tuple { atom "error", atom "running" } } } }
    end },
    { "whose process is gone", true, function()
      return { "gen_server", "call", { atom "nobody", atom "put_back" } }
    end },
  }

  for _, case in ipairs(CASES) do
    local name, undone, make = table.unpack(case)

    it(("%s %s, for the ledger"):format(name, undone and "is settled" or "stays owed"), function()
      local ledger = ledgers.new(node)
      assert(ledger:apply("it", { { call = { "erlang", "self", {} }, undo = make() } }))
      assert.equal(undone or nil, (ledger:undo()))
      assert.equal(undone, ledger:is_settled())
    end)

    it(("%s %s, for the guard"):format(name, undone and "is settled" or "stays owed"), function()
      local one = assert(guard.start(node))
      local call = make()
      local arguments = list(table.move(call[3], 1, #call[3], 1, {}))
      assert(one:apply { { undo = call, term = tuple { atom(call[1]), atom(call[2]), arguments } } })
      local done, _, code = one:undo()
      assert.same({ undone or nil, not undone and "guard_retries" or nil }, { done, code })
      assert.equal(not undone and "retries" or nil, (guard.who(node) or {}).status)
    end)
  end

  describe("that can never work", function()
    local lines
    local function log(_, text) lines[#lines + 1] = text end

    -- A guard that tries in vain: a folder has the name of the file.
    local function in_vain()
      lines = {}
      os.execute(("mkdir -p '%s/relup'"):format(folder))
      local call = write "relup"
      local one = assert(guard.start(node, { who = "ann" }))
      assert(one:apply { { undo = call, term = tuple { atom "file", atom "write_file", list(call[3]) } } })
      assert.equal("guard_retries", select(3, one:undo()))
    end

    it("keeps others out until recovery is told to end its guard, which says what is not undone", function()
      in_vain()
      local begun, message, code = guard.start(node, { who = "bob" })
      assert.same({ nil, "busy" }, { begun, code })
      assert.matches("If it never can, `recover --end-guard` ends it", message, 1, true)
      assert.equal("busy", select(3, relup.recover(node, nil, { log = log })))
      -- A dry run shows, and ends nothing.
      assert(relup.recover(node, nil, { log = log, dry_run = true, end_guard = true }))
      assert.matches("would be ended: 0 processes and 1 call could not be undone", table.concat(lines, "\n"), 1, true)
      assert.equal("retries", guard.who(node).status)
      local result = assert(relup.recover(node, nil, { log = log, end_guard = true }))
      assert.is_true(result.ok)
      assert.matches("was ended: 0 processes and 1 call are not undone", table.concat(lines, "\n"), 1, true)
      assert.matches("not undone: file:write_file%(.*relup", table.concat(lines, "\n"))
      assert.is_false(guard.who(node))
    end)

    it("is no reason to end one whose operator is there", function()
      lines = {}
      local one = assert(guard.start(node, { who = "ann" }))
      assert.equal("busy", select(3, relup.recover(node, nil, { log = log, end_guard = true })))
      assert.equal("here", guard.who(node).status)
      assert.matches("busy", term.format(node:call("gen_server", "call", { one.pid, atom "give_up" })))
      one:leave()
    end)
  end)
end)
