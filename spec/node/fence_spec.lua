-- The fence: a process on the node lets acts in, at the last moment, or they are not done at all.

local erlang_node = require "support.node"
local shared = require "support.shared"
local term = require "edeliver.relup.term"

local atom, tuple = term.atom, term.tuple

describe("a fence", function()
  local node

  for _, rex in ipairs { false, true } do
    describe(rex and "with rex" or "with spawn requests", function()
      local erlang = shared(erlang_node.start)
      setup(function() node = erlang:connect { rex = rex } end)
      teardown(function() node:close() end)

      -- A gate that lets in those who ask with `key`, and remembers them; any other is turned away.
      local function gate()
        return assert(node:eval [[
          spawn(fun() ->
            Loop = fun Loop(Seen) -> receive
              {'$gen_call', From, key} -> gen_server:reply(From, ok), Loop(Seen + 1);
              {'$gen_call', From, seen} -> gen_server:reply(From, Seen), Loop(Seen);
              {'$gen_call', {Pid, Tag}, _} ->
                Ref = case Tag of [alias | Alias] -> Alias; _ -> Tag end,
                Pid ! {'DOWN', Ref, process, self(), shut}, Loop(Seen)
            end end,
            Loop(0)
          end).]])
      end

      local function servers(count)
        local made = assert(node:eval("[element(2, gen_event:start()) || _ <- lists:seq(1, Count)].", { Count = count }))
        return node:pids(made)
      end

      local function seen(pid) return node:call("gen_server", "call", { pid, atom "seen" }) end

      it("lets acts in one by one, and gives what they return", function()
        local pid = gate()
        node:fence(pid, atom "key")
        assert.equal(6, node:act("lists", "sum", { { 1, 2, 3 } }))
        assert.equal(term.list {}, node:act("lists", "append", { {}, {} }))
        local bytes = node:act("lists", "seq", { 1, 70000 })
        assert.equal(70000, #bytes)
        assert.equal(3, seen(pid))
        local pids = servers(2500)
        assert.equal("ok", (node:bulk_suspend(pids, 5000)))
        assert.equal(2500, #node:suspended(pids))
        assert.equal("ok", (node:bulk_resume(pids, 5000)))
        assert.equal(5, seen(pid)) -- a bulk request asks for up to 5,000 at a time
        node:fence(nil)
        assert.equal(6, node:act("lists", "sum", { { 1, 2, 3 } }))
        assert.equal(5, seen(pid))
      end)

      it("tells what an act raises from what the gate refuses", function()
        node:fence(gate(), atom "key")
        local answer, message, code, reason = node:act("gen_server", "call", { atom "nobody", 1 })
        assert.is_nil(answer)
        assert.equal("exit", code)
        assert.equal(atom "noproc", reason[1])
        assert.matches("gen_server:call/2 failed", message)
        code = select(3, node:act("erlang", "error", { atom "oops" }))
        assert.equal(rex and "exit" or "error", code)
      end)

      it("lets nothing in where the gate refuses, or is gone", function()
        local pids = servers(10)
        local pid = gate()
        local function check_refused()
          local answer, message, code = node:act("application", "set_env", { atom "kernel", atom "fenced", true })
          assert.is_nil(answer)
          assert.equal("fenced", code)
          assert.matches("nothing was done", message)
          assert.equal(atom "undefined", node:call("application", "get_env", { atom "kernel", atom "fenced" }))
          assert.is_nil((node:bulk_suspend(pids, 2000)))
          assert.equal("fenced", select(3, node:bulk_suspend(pids, 2000)))
          assert.equal(0, #node:suspended(pids))
        end
        node:fence(pid, tuple { atom "wrong", 1 })
        check_refused()
        node:fence(pid, atom "key")
        node:call("erlang", "exit", { pid, atom "kill" })
        check_refused()
        assert(node:reconnect())
        check_refused()
        node:fence(nil)
        assert.equal("ok", (node:bulk_suspend(pids, 2000)))
        assert.equal("ok", (node:bulk_resume(pids, 2000)))
      end)
    end)
  end
end)
