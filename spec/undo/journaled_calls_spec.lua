-- Which calls recovery makes because a journal says so, and how they read.

local journaled_calls = require "edeliver.relup.undo.journaled_calls"
local core = require "edeliver.relup.core"
local supervisor = require "edeliver.relup.otp.supervisor"
local ranch = require "edeliver.relup.web.listeners.ranch"
local cowboy = require "edeliver.relup.web.servers.cowboy"
local node_module = require "edeliver.relup.node"
local term = require "edeliver.relup.term"

local atom, tuple, list, charlist = term.atom, term.tuple, term.list, term.charlist

local node = setmetatable({ name = "a@b" }, node_module)
local pid = core.decode(("\131\88\119\3a@b" .. string.pack(">I4I4I4", 83, 0, 7)))

-- As a journal gives it back.
local function through_journal(call)
  local read = core.decode(core.encode(tuple { atom(call[1]), atom(call[2]), list(table.move(call[3], 1, #call[3], 1, {})) }))
  local arguments = {}
  for i = 1, #read[3] do arguments[i] = read[3][i] end
  return { read[1].name, read[2].name, list(arguments) }
end

local RELUP = '{"2.0.0",[{"1.0.0",[],[point_of_no_return]}],[]}.'

describe("a journaled call", function()
  for name, call in pairs {
    ["restarts children"] = supervisor.restart_children(node, { pid, pid }, { atom "acceptor", tuple { atom "acceptor", 1 } }),
    ["calls connections what they were called"] = cowboy.hiding(node, { pid }).undo,
    ["lets ranch listen again"] = ranch.resume { ref = atom "Elixir.Chat.Endpoint.HTTP" },
    ["lets ranch listen again, where the name is a number"] = ranch.resume { ref = 80 },
    ["lets Bandit listen again"] = { "Elixir.ThousandIsland", "resume", { pid } },
    ["puts a relup back"] = { "file", "write_file", { charlist "/srv/chat/releases/2.0.0/relup", RELUP } },
    ["tells requests that it is over"] =
      { "lists", "zipwith", { term.export("erlang", "send", 2), { pid }, { atom "upgrade_finished" } } },
  } do
    it("of ours " .. name, function() assert.is_true(journaled_calls.is_ours(through_journal(call))) end)
  end

  local restart = supervisor.restart_children(node, { pid }, { atom "acceptor" })
  local function changed(position, value)
    local arguments = table.move(restart[3], 1, #restart[3], 1, {})
    arguments[position] = value
    return { "erl_eval", "expr", arguments }
  end
  local text = restart[3][2][2][2].text
  local function with_text(other, bindings)
    return changed(2, list { tuple { atom "Bindings", bindings or restart[3][2][1][2] }, tuple { atom "Text", charlist(other) } })
  end

  for name, call in pairs {
    ["runs a command"] = { "os", "cmd", { charlist "id" } },
    ["evaluates other code"] = changed(1, tuple { atom "atom", 1, atom "ok" }),
    ["evaluates another text"] = with_text("os:cmd(\"id\")."),
    ["evaluates ours and something more"] = with_text(text .. " os:cmd(\"id\")."),
    ["binds something else"] = with_text(text, list { tuple { atom "Children", atom "all" } }),
    ["binds something more"] = with_text(text, list {
      tuple { atom "Children", list { tuple { pid, 1 } } }, tuple { atom "Failed", 1 } }),
    ["has a handler of functions"] = changed(4, tuple { atom "value", 1 }),
    ["writes another file"] = { "file", "write_file", { charlist "/etc/passwd", RELUP } },
    ["writes another file by way of a relup"] = { "file", "write_file", { charlist "/srv/x/../../etc/relup", RELUP } },
    ["writes a relup that is none"] = { "file", "write_file", { charlist "/srv/releases/2/relup", "#!/bin/sh" } },
    ["appends"] = { "file", "write_file", { charlist "/srv/releases/2/relup", RELUP, list { atom "append" } } },
    ["sends another message"] =
      { "lists", "zipwith", { term.export("erlang", "send", 2), { pid }, { tuple { atom "EXIT", pid, atom "kill" } } } },
    ["zips with another function"] =
      { "lists", "zipwith", { term.export("erlang", "exit", 2), { pid }, { atom "upgrade_finished" } } },
    ["has one argument too few"] = { "Elixir.ThousandIsland", "resume", {} },
  } do
    it("that " .. name .. " is none of ours", function()
      assert.is_false(journaled_calls.is_ours(through_journal(call)))
    end)
  end

  it("reads as it is written in Erlang, and our own texts by their names", function()
    assert.equal("os:cmd(\"id\")", journaled_calls.describe { "os", "cmd", list { charlist "id" } })
    assert.equal("'Elixir.ThousandIsland':resume(<0.83.0>)",
      journaled_calls.describe { "Elixir.ThousandIsland", "resume", list { pid } })
    assert.equal("restart_children.erl:run(Children = [{<0.83.0>,acceptor}])", journaled_calls.describe(through_journal(restart)))
    local long = journaled_calls.describe { "os", "cmd", list { charlist(("x"):rep(1000)) } }
    assert.matches("^os:cmd%(\"x+%.%.%.$", long)
    assert.equal(403, #long)
  end)
end)
