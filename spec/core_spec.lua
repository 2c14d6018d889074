-- The C module as Lua sees it, against a real node: terms there and back, pid sets, calls, what is raised and what is
-- returned, signals, coroutines, an eager collector, memory.

local relup = require "edeliver.relup"
local core = require "edeliver.relup.core"
local shared = require "support.shared"
local test_node = require "support.node"
local process = require "support.process"
local term = relup.term
local atom, tuple = term.atom, term.tuple

describe("the C module", function()
  local node, me
  local started = shared(test_node.start, { args = { "+P", "400000" } })
  setup(function()
    node = started:connect()
    me = process.read_file("/proc/self/stat"):match "^%d+"
  end)
  teardown(function() node:close() end)

  -- Evaluates on the node, keeps the value there, fetches it, sends it back: is it the same?
  local function survives(expression)
    assert(node:eval(("persistent_term:put(kept, %s)."):format(expression)))
    local value, message = node:call("persistent_term", "get", { atom "kept" })
    assert(value ~= nil, message)
    return node:eval("X =:= persistent_term:get(kept).", { X = value }), value
  end

  describe("terms", function()
    local expressions = {
      "0", "255", "256", "-1", "2147483648", "-2147483649", "9223372036854775807", "-9223372036854775808",
      "9223372036854775808", "-9223372036854775809", "1 bsl 64", "-(1 bsl 2100)", "1 bsl 20000",
      "0.0", "-0.0", "1.0", "1.5e300", "5.0e-324", "1.7976931348623157e308", "{1, 1.0}",
      "ok", "''", "true", "false", "nil", "undefined", "'with space'", "'\\x{e9}'", "'\\x{1f600}\\x{20ac}'",
      "list_to_atom(lists:duplicate(255, $x))", "list_to_atom(lists:duplicate(255, 16#1f600))",
      "<<>>", "<<0, 255, 128>>", "binary:copy(<<7>>, 100000)", "<<1:1>>", "<<255, 5:3>>", "<<0:7>>",
      "[]", "[1, 2, 3]", "[a | b]", "[1, 2 | 3]", "[[] | []]", "[[[]]]", "[a, [b, [c | d]] | {e}]", "[1 | <<\"tail\">>]",
      "\"text\"", "\"\\x{e9}\\x{ff}\"", "\"\\x{20ac}\\x{1f600}\"", "[0, 255]", "[0, 256]", "[-1, 1]", "[1114112]", "[55296]",
      "lists:seq(0, 255)", "lists:duplicate(65535, 1)", "lists:duplicate(65536, 1)", "lists:duplicate(70000, a)",
      "lists:seq(300, 363)", "lists:seq(300, 364)", "lists:seq(-100, 1000) ++ 7",
      "lists:seq(1, 65) ++ [a, 1 bsl 40 | lists:seq(300, 500)]",
      "{}", "{{}}", "list_to_tuple(lists:seq(1, 255))", "list_to_tuple(lists:seq(1, 256))",
      "#{}", "#{a => 1}", "#{1 => a, 1.0 => b}", "#{{a, [1]} => #{#{} => []}, [] => {}, <<>> => <<1:3>>}",
      "#{\"key\" => 1, [256] => 2, true => false, self() => make_ref()}", "maps:from_list([{I, I} || I <- lists:seq(1, 100)])",
      "self()", "make_ref()", "{self(), self(), [make_ref(), make_ref()]}", "hd(erlang:ports())",
      "fun lists:map/2", "fun() -> ok end", "begin Z = [1, {a}], fun(X) -> {X, Z} end end",
      "case erlang:function_exported(erlang, alias, 0) of true -> erlang:alias(); false -> none_before_otp_24 end",
      "lists:foldl(fun(_, A) -> {A} end, x, lists:seq(1, 1000))", "lists:foldl(fun(_, A) -> [A] end, x, lists:seq(1, 1000))",
      "lists:foldl(fun(I, A) -> #{I => A} end, x, lists:seq(1, 500))",
    }
    for _, expression in ipairs(expressions) do
      it("come back the same: " .. expression, function() assert.is_true((survives(expression))) end)
    end

    it("keep pids, references and such apart and equal", function()
      local _, value = survives "begin R = make_ref(), [R, R, make_ref(), self(), self()] end"
      assert.equal(value[1], value[2])
      assert.not_equal(value[1], value[3])
      assert.equal(value[4], value[5])
    end)

    it("are encoded as Erlang would: plain tables are lists, floats stay floats", function()
      assert.is_true(node:eval("X =:= [1, 2.0, <<\"a\">>, [], true].", { X = { 1, 2.0, "a", {}, true } }))
      assert.is_true(node:eval("X =:= [a | b].", { X = term.list({ atom "a" }, atom "b") }))
      assert.is_true(node:eval("is_list(X).", { X = node:pids { node:self() } }))
    end)

    it("that are none raise, and say why", function()
      local recursive, deep = {}, {}
      recursive[1] = recursive
      for _ = 1, 2000 do deep = { deep } end
      local cases = {
        { print, "function" }, { coroutine.create(print), "thread" }, { io.stdout, "userdata" }, { { a = 1 }, "no place" },
        { { 1, nil, 3 }, "list" }, { 0 / 0, "float" }, { math.huge, "float" }, { setmetatable({}, {}), "metatable" },
        { recursive, "contains itself" }, { deep, "deeper" }, { tuple { 1, print }, "function" },
        { setmetatable({ name = ("x"):rep(256) }, term.types.atom), "atom" },
        { setmetatable({ text = {} }, term.types.charlist), "charlist" }, { setmetatable({}, term.types.map), "map" },
        { setmetatable({}, term.types.opaque), "opaque" },
      }
      for _, case in ipairs(cases) do
        assert.error_matches(function() core.encode(case[1]) end, case[2])
        assert.error_matches(function() node:call("erlang", "node", { case[1] }) end, case[2])
      end
      assert.has_error(function() core.encode() end)
      assert.equal(atom(started.name), node:call("erlang", "node"))
    end)

    it("with text that is no UTF-8 are still one list", function()
      for _, text in ipairs { "\xff\xff", "a\xe2\x82", "\x80\xc3", "\xf0\x9f\xe2\x82\xac" } do
        local bytes = core.encode(setmetatable({ text = text }, term.types.charlist))
        assert.is_not_nil(core.decode(bytes), text)
      end
    end)

    it("that are not well-formed are refused", function()
      local bytes = core.encode(tuple { atom "ok", { 1, 2, 300 }, "binary", 1.5, node:self() })
      for size = 0, #bytes - 1 do
        local value, message, code = core.decode(bytes:sub(1, size))
        assert.is_nil(value)
        assert.is_string(message)
        assert.equal("protocol", code)
      end
      assert.equal("protocol", select(3, core.decode(bytes .. "a")))
      assert.equal("limit", select(3, core.decode("\131" .. ("h\1"):rep(5000) .. "j")))
    end)

    it("nested too deeply cost their call alone", function()
      local value, _, code = node:eval "lists:foldl(fun(_, A) -> {A} end, x, lists:seq(1, 3000))."
      assert.is_nil(value)
      assert.equal("limit", code)
      assert.equal(atom(started.name), node:call("erlang", "node"))
    end)
  end)

  describe("pid sets", function()
    it("keep order, count, and know their members", function()
      local list = assert(node:eval "[spawn(timer, sleep, [infinity]) || _ <- lists:seq(1, 10)].")
      local set = core.pids(list)
      assert.equal(10, #set)
      for i, pid in set:iter() do
        assert.equal(list[i], pid)
        assert.is_true(set:has(pid))
      end
      assert.is_nil(set[0])
      assert.is_nil(set[11])
      local odd = set:filter(function(_, i) return i % 2 == 1 end)
      assert.equal(5, #odd)
      assert.equal(5, #set:minus(odd))
      assert.equal(list[2], set:minus(odd)[1])
      assert.equal(5, #set:both(odd))
      assert.equal(10, #odd:plus(set))
      assert.equal(list[2], odd:plus(set)[6])
      assert.equal(11, #set:plus(node:self()))
      assert.is_false(odd:has(list[2]))
      assert.equal(0, #core.pids {})
      assert.matches("^10 processes: %[<", tostring(set))
      assert.same({ true, false }, { set:has(list[1]), set:has(node:self()) })
    end)

    it("are made from the bytes of a list of pids, and of no other", function()
      local pids = assert(node:eval "[spawn(timer, sleep, [infinity]) || _ <- lists:seq(1, 5)].")
      local bytes = assert(node:call("erlang", "term_to_binary", { pids }))
      assert.is_true(term.equal(pids, term.list { table.unpack(core.pids(bytes)) }))
      assert.equal(0, #core.pids(assert(node:call("erlang", "term_to_binary", { {} }))))
      for _, wrong in ipairs { "", "pid", bytes:sub(1, -2), bytes .. "x", bytes:sub(2), "\131a\1" } do
        local none, message, code = core.pids(wrong)
        assert.is_nil(none)
        assert.matches("list of pids", message, 1, true)
        assert.equal("protocol", code)
      end
      assert.has_error(function() node:bulk_resume("pid", 100) end)
    end)

    it("take pids and nothing else", function()
      for _, wrong in ipairs { { 1 }, { "pid" }, { atom "a" }, 5, term.charlist "ab",
        setmetatable({}, { __len = function() return 1 << 60 end }) } do
        assert.has_error(function() core.pids(wrong) end)
      end
      local none, _, code = node:bulk_resume({ node:self() }, 100) -- that is no process of the node
      assert.is_nil(none)
      assert.equal("badarg", code)
      assert.has_error(function() core.pids({ node:self() }):filter(function() error "mine" end) end)
    end)

    it("hold pids of 64 nodes", function()
      local function bytes_of(count)
        local pids = {}
        for i = 1, count do pids[i] = ("\88\119\4n@%02d"):format(i) .. string.pack(">I4I4I4", i, 0, 1) end
        return "\131\108" .. string.pack(">I4", count) .. table.concat(pids) .. "\106"
      end
      local many = bytes_of(65)
      assert.equal(64, #core.pids(bytes_of(64)))
      local none, message, code = core.pids(many)
      assert.is_nil(none)
      assert.matches("too many nodes", message)
      assert.equal("limit", code)
      assert.error_matches(function() core.pids((core.decode(many))) end, "pids of more than 64 nodes")
    end)

    it("cost at most 40 bytes a pid", function()
      assert(node:eval("[spawn(timer, sleep, [infinity]) || _ <- lists:seq(1, 100000)], ok.", {}, 30000))
      local function resident()
        collectgarbage()
        collectgarbage()
        return process.read_file("/proc/self/smaps_rollup"):match "Private_Dirty:%s+(%d+)" * 1024
      end
      local sets = { assert(node:processes()) } -- warms up what is kept
      local before, lua_before = resident(), collectgarbage "count"
      for i = 2, 6 do sets[i] = assert(node:processes()) end
      local pids = 5 * #sets[1]
      assert.is_true(pids > 500000)
      local sanitized = process.sanitized -- which keeps what was freed for a while
      if not sanitized then assert.is_true((resident() - before) / pids <= 40) end
      assert.is_true((collectgarbage "count" - lua_before) * 1024 / pids <= 1)
      -- Sets that nobody holds do not pile up, although the collector sees a few bytes of each.
      sets = nil -- luacheck: ignore
      before = resident()
      for _ = 1, 60 do assert(node:processes()) end
      local after = process.read_file("/proc/self/smaps_rollup"):match "Private_Dirty:%s+(%d+)" * 1024
      if not sanitized then assert.is_true(after - before < 30e6) end
    end)
  end)

  describe("calls", function()
    it("tell the world's refusals from the caller's mistakes", function()
      local raw = node.connection
      assert.same({ nil, nil, "error", atom "badarith" }, { raw:call("erlang", "+", { 1, atom "a" }) })
      assert.same({ nil, nil, "throw", 1 }, { raw:call("erlang", "throw", { 1 }) })
      assert.same({ nil, nil, "exit", 1 }, { raw:call("erlang", "exit", { 1 }) })
      assert.equal("timeout", select(3, raw:call("timer", "sleep", { 1000 }, 1)))
      assert.has_error(function() raw:call("erlang", "node", {}, -1) end)
      assert.has_error(function() raw:call("erlang", "node", {}, "soon") end)
      assert.has_error(function() raw:call(("x"):rep(256), "node", {}) end)
      assert.has_error(function() raw:call("erlang", "no\0de", {}) end)
      assert.has_error(function() raw:call("erlang", "node") end)
      assert.has_error(function() core.connect {} end)
      assert.has_error(function() raw.call({}, "erlang", "node", {}) end)
    end)

    it("can be awaited once, by their own connection, in any order", function()
      local raw = node.connection
      local other <close> = started:connect()
      local slow, fast = raw:request("timer", "sleep", { 100 }), raw:request("erlang", "node", {})
      assert.has_error(function() other.connection:await(fast, 10) end)
      assert.equal(atom(started.name), raw:await(fast))
      assert.equal("timeout", select(3, raw:await(slow, 1)))
      assert.equal(atom "ok", raw:await(slow))
      assert.has_error(function() raw:await(slow) end)
    end)

    it("outlive nothing: nodes and calls are collected in any order", function()
      for i = 1, 6 do
        local short = started:connect()
        local call = short.connection:request("timer", "sleep", { 1000 })
        if i % 3 == 0 then short:close() end
        local kept = { node = i % 2 == 0 and short or nil, call = i % 2 == 1 and call or nil }
        short, call = nil, nil -- luacheck: ignore
        collectgarbage()
        assert.is_true((kept.node or kept.call) ~= nil)
        kept = nil -- luacheck: ignore
        collectgarbage()
      end
    end)
  end)

  it("lets errors of Lua through the core, and goes on", function()
    assert(node:eval "register(a_name_that_nobody_has_seen, spawn(timer, sleep, [infinity])).")
    local pids = assert(node:processes())
    local function failing(key) return key == "new_atom" and function() error "no more atoms" end or term.types[key] end
    finally(function() core.set_types(term.types) end)
    core.set_types(setmetatable({}, { __index = function(_, key) return failing(key) end }))
    assert.error_matches(function() node:process_info(pids, { "registered_name" }) end, "no more atoms")
    core.set_types(term.types)
    assert.equal(#pids, #assert(node:process_info(pids, { "registered_name" })))
  end)

  it("answers pings, and lets called functions print", function()
    local our_name = node:call("erlang", "node", { node:self() })
    assert.equal(atom "pong", node:call("net_adm", "ping", { our_name }))
    assert.equal(atom "ok", node:call("io", "format", { term.charlist "~p~n", { 1 } }))
  end)

  it("stands an eager collector", function()
    collectgarbage("incremental", 1, 1000, 0)
    finally(function() collectgarbage("incremental", 200, 100, 13) end)
    assert.is_true((survives "[{I, integer_to_binary(I), make_ref()} || I <- lists:seq(1, 500)]"))
    assert.is_true((survives "#{a => [b | c], \"d\" => <<1:1>>}"))
    local pids = assert(node:eval "[spawn(timer, sleep, [infinity]) || _ <- lists:seq(1, 50)].")
    local infos = assert(node:process_info(pids, { "status", "message_queue_len" }))
    assert.equal(50, #infos)
    assert.equal(0, infos[50].message_queue_len)
    assert.same({ "not_supported", 50 }, { (node:bulk_resume(pids, 50)), (select(2, node:bulk_resume(pids, 50))) })
  end)

  describe("signals", function()
    local function interrupt_in(seconds)
      os.execute(("(sleep %s; kill -INT %s) & "):format(seconds, me))
    end

    -- What `f` came to under caught signals.
    local function caught(f)
      assert.is_true(core.catch_signals())
      local result = table.pack(pcall(f))
      core.block_signals()
      core.release_signals()
      return table.unpack(result, 1, result.n)
    end

    it("end a call in the middle, and leave the connection usable", function()
      interrupt_in "0.1"
      local before = core.now()
      local ok, message = caught(function() return select(2, node:call("timer", "sleep", { 8000 }, 10000)) end)
      assert.is_false(ok)
      assert.matches("interrupted by SIGINT", message)
      assert.is_true(core.now() - before < 4000 * process.patience)
      assert.equal(atom(started.name), node:call("erlang", "node"))
    end)

    it("end a bulk request, and leave no mailbox behind", function()
      local deaf = assert(node:eval "[spawn(timer, sleep, [infinity]) || _ <- lists:seq(1, 3)].")
      local count = node:call("erlang", "system_info", { atom "process_count" })
      interrupt_in "0.1"
      local ok, message = caught(function() return node:bulk_suspend(deaf, 5000) end)
      assert.is_false(ok)
      assert.matches("interrupted by SIGINT", message)
      assert.is_true(process.wait_until(function()
        return node:call("erlang", "system_info", { atom "process_count" }) <= count
      end))
    end)

    it("end a loop that computes, in a coroutine that asked for them too", function()
      interrupt_in "0.1"
      local ok, message = caught(function() while true do end end) -- luacheck: ignore
      assert.is_false(ok)
      assert.matches("interrupted by SIGINT", message)
      local thread = coroutine.create(function()
        return caught(function()
          interrupt_in "0.1"
          while true do end -- luacheck: ignore
        end)
      end)
      assert.same({ true, false }, { select(1, coroutine.resume(thread)), false })
    end)

    it("that come right behind another raise no second error, and are kept for who asks", function()
      assert.is_true(core.catch_signals())
      finally(core.release_signals)
      local raised = 0
      for _ = 1, 2 do
        local ok = pcall(function()
          os.execute "kill -TERM $PPID; kill -HUP $PPID"
          for _ = 1, 1000 do core.now() end
        end)
        if not ok then raised = raised + 1 end
      end
      assert.equal(1, raised)
      assert.is_truthy(core.block_signals())
      assert.is_truthy(core.take_signal())
      assert.is_nil(core.take_signal())
    end)

    it("are QUIT, too; PIPE ends nothing while they are caught", function()
      local ok, message = caught(function()
        os.execute "kill -PIPE $PPID"
        os.execute "(sleep 0.05; kill -QUIT $PPID) &" -- a program that waits for a shell ignores this one
        core.sleep(5000)
      end)
      assert.is_false(ok)
      assert.matches("interrupted by SIGQUIT", message)
    end)

    it("by which a terminal stops programs are ignored while they are caught", function()
      -- The kernel's books: whether a signal that is sent stops a program depends on its terminal.
      local function ignores(number)
        local mask = process.read_file("/proc/self/status"):match "SigIgn:%s*(%x+)"
        return tonumber(mask, 16) >> (number - 1) & 1 == 1
      end
      local TSTP, TTIN, TTOU = 20, 21, 22
      local before = { ignores(TSTP), ignores(TTIN), ignores(TTOU) }
      local _, meanwhile = caught(function() return { ignores(TSTP), ignores(TTIN), ignores(TTOU) } end)
      assert.same({ true, true, true }, meanwhile)
      assert.same(before, { ignores(TSTP), ignores(TTIN), ignores(TTOU) })
    end)

    it("reach the main program when the coroutine that asked for them is gone", function()
      coroutine.wrap(function() core.catch_signals() end)()
      finally(core.release_signals)
      collectgarbage()
      collectgarbage()
      interrupt_in "0.1"
      local ok, message = pcall(function() return assert(node:sleep(5000)) end)
      assert.is_false(ok)
      assert.matches("interrupted", message)
    end)

    it("are caught once, and other hooks are put back", function()
      local function hook() end
      local before = { debug.gethook() }
      finally(function() debug.sethook(table.unpack(before, 1, 3)) end)
      debug.sethook(hook, "", 100000)
      assert.is_true(core.catch_signals())
      assert.is_false(core.catch_signals())
      interrupt_in "0.05"
      local ok = pcall(function() assert(node:sleep(3000)) end)
      assert.is_false(ok)
      assert.equal("SIGINT", core.block_signals())
      core.release_signals()
      assert.equal(hook, (debug.gethook()))
      assert.is_nil(core.block_signals()) -- nothing arrived since
      core.release_signals()
    end)

    it("that are held back come through in the end", function()
      local script = [[
        local core = require "edeliver.relup.core"
        local pid = io.open "/proc/self/stat":read "n"
        assert(core.catch_signals())
        core.block_signals()
        os.execute("kill -INT " .. pid)
        for i = 1, 100000 do assert(i) end
        io.write "undone "
        io.flush()
        core.release_signals()
        io.write "never"
      ]]
      local command = ("LUA_CPATH=%s lua5.4 -e %s 2>&1; echo status $?"):format(process.quote(package.cpath),
        process.quote(script))
      -- What was there before is the interpreter's own handler.
      assert.matches("^undone %S*lua5.4: .*interrupted!.*status 1\n$", (process.output(command)))
    end)
  end)
end)
