-- An undo of what is not there any more, by the ledger and by the guard: neither may owe it for ever, nor take for done what failed.

local guard = require "edeliver.relup.undo.guard"
local ledgers = require "edeliver.relup.undo.ledger"
local ranch = require "edeliver.relup.web.listeners.ranch"
local relup = require "edeliver.relup"
local supervisor = require "edeliver.relup.otp.supervisor"
local term = require "edeliver.relup.term"
local erlang_node = require "support.node"
local process = require "support.process"

local atom, tuple, list = term.atom, term.tuple, term.list

describe("an undo", function()
  local erlang, node, folder

  setup(function()
    erlang = erlang_node.start { args = { "-pa", process.root .. "/build/erlang/ranch2/ranch-2.1.0/ebin" } }
    node = assert(relup.connect(erlang.name, { cookie = erlang.cookie, epmd_port = erlang.epmd_port }))
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
end)
