-- Every way to a node, and every way in which it can fail, from Lua: what comes back is `nil, message, code`, in time.

local certificates = require "support.certificates"
local nodes = require "support.node"
local process = require "support.process"
local relup = require "edeliver.relup"
local atom, tuple = relup.term.atom, relup.term.tuple

local NOWHERE = 1 -- a port that no epmd of ours listens on

local function options_for(node, more)
  local options = { cookie = node.cookie, epmd_port = node.epmd_port, timeout = 5000 * process.patience }
  for option, value in pairs(more or {}) do options[option] = value or nil end
  return options
end

local function connect(node, more) return relup.connect(node.name, options_for(node, more)) end

local function assert_reaches(node, more)
  local connection <close> = assert(connect(node, more))
  assert.equal(atom(node.name), connection:call("erlang", "node"))
end

local function assert_fails(code, says, name, options)
  local before = process.now()
  local node, message, got = relup.connect(name, options)
  assert.is_nil(node)
  assert.equal(code, got, message)
  assert.truthy(message:find(says, 1, true), message)
  assert.truthy(process.now() - before < options.timeout + 500 * process.patience, "too late")
end

-- A program in a process of its own, with the module under test and the environment that an operator has.
local function operator(script, env, argument)
  local folder = process.temporary_folder()
  local file = assert(io.open(folder .. "/script.lua", "w"))
  file:write(script)
  file:close()
  env.LUA_PATH, env.LUA_CPATH = package.path, package.cpath
  return process.start { command = { "lua5.4", folder .. "/script.lua", argument }, env = env, folder = folder }
end

local function printed_by(program, pattern, timeout)
  return process.wait_until(function() return program:printed():match(pattern) end, timeout)
end

describe("connecting", function()
  local node, helper -- the one we connect to, and one that plays false nodes

  setup(function()
    node = nodes.start()
    helper = nodes.start()
  end)

  teardown(function()
    node:stop()
    helper:stop()
  end)

  describe("finds", function()
    it("nodes of long and of short names", function()
      assert_reaches(node)
      local short <close> = nodes.start { short = true }
      assert_reaches(short, { address = "127.0.0.1" })
    end)

    it("a node without epmd by its port", function()
      local port = tonumber(assert(helper:eval "{ok, L} = gen_tcp:listen(0, []), {ok, P} = inet:port(L), gen_tcp:close(L), P"))
      local epmdless <close> = nodes.start {
        epmd_port = NOWHERE, args = { "-start_epmd", "false", "-erl_epmd_port", tostring(port) } }
      assert_reaches(epmdless, { port = port })
      assert_fails("no_epmd", "a node without epmd wants its own port given", epmdless.name, options_for(epmdless))
      assert_fails("nodedown", "it calls itself " .. epmdless.name, "somebody@127.0.0.1", options_for(epmdless, { port = port }))
    end)

    it("a node whose host is not known here, through a tunnel", function()
      local far <close> = nodes.start { full_name = "far@web1.internal.example" }
      assert_reaches(far, { address = "127.0.0.1" })
      local port = tonumber(process.output(("epmd -port %d -names"):format(far.epmd_port)):match "name far at port (%d+)")
      assert_reaches(far, { address = "127.0.0.1", port = port, epmd_port = false })
      assert_fails("unknown_host", "web1.internal.example", far.name, options_for(far))
    end)

    it("a node on IPv6", function()
      if not (process.read_file "/proc/net/if_inet6" or ""):find "%f[%w]lo%f[%W]" then return pending "no IPv6 here" end
      local six <close> = nodes.start { interface = "{0,0,0,0,0,0,0,1}", args = { "-proto_dist", "inet6_tcp" } }
      assert_reaches(six, { address = "::1" })
    end)

    it("epmd and cookie where an Erlang program of the same user does", function()
      local ask = [[
        local relup = require "edeliver.relup"
        local node <close> = assert(relup.connect(arg[1]))
        print("it is", node:call("erlang", "node"))]]
      local program <close> = operator(ask, { HOME = node.folder, ERL_EPMD_PORT = node.epmd_port }, node.name)
      assert.truthy(printed_by(program, "it is\t'" .. node.name:gsub("%p", "%%%0")), program:printed())
    end)
  end)

  describe("fails", function()
    -- A listener on the helper: what it does with a connection is given as Erlang, with the socket as S.
    local function false_node(with_connection, backlog)
      local port = assert(helper:eval(([[
        begin Self = self(), spawn(fun() ->
          {ok, L} = gen_tcp:listen(0, [binary, {ip, {127,0,0,1}}, {active, false}, {backlog, %d}]),
          {ok, Port} = inet:port(L), Self ! Port,
          Loop = fun(F) -> %s, F(F) end, Loop(Loop) end), receive P when is_integer(P) -> P end end]]):format(
        backlog or 5, with_connection and "{ok, S} = gen_tcp:accept(L), " .. with_connection or "timer:sleep(100000)")))
      return tonumber(port)
    end

    -- Plainly, and under TLS.
    local function fails_at(port, says, code, tls_code)
      assert_fails(code, says, "false@127.0.0.1", options_for(node, { port = port, timeout = 300 }))
      assert_fails(tls_code, "", "false@127.0.0.1", options_for(node, { port = port, timeout = 300, tls = { verify = "none" } }))
    end

    it("in time with a peer that keeps silent", function()
      fails_at(false_node(), "did not finish the handshake in time", "timeout", "timeout")
    end)

    it("in time with a peer that drips", function()
      fails_at(false_node "spawn(fun() -> [begin gen_tcp:send(S, [1]), timer:sleep(20) end || _ <- lists:seq(1, 30)] end)",
        "handshake in time", "timeout", "tls")
    end)

    it("in time with a peer that no packet reaches", function()
      local port = false_node(nil, 0)
      -- Connections that nobody takes fill its queue; from then on the kernel drops what comes.
      helper:eval(([[
        [spawn(fun() -> gen_tcp:connect({127,0,0,1}, %d, [], 60000), timer:sleep(60000) end)
         || _ <- lists:seq(1, 4)] ]]):format(port))
      process.sleep(100)
      fails_at(port, "could not be reached in time", "timeout", "timeout")
    end)

    it("with a peer that hangs up, and one that is no node", function()
      fails_at(false_node "gen_tcp:close(S)", "closed the connection", "protocol", "tls")
      fails_at(false_node "gen_tcp:send(S, \"HTTP/1.1 400 Bad Request\r\n\r\n\")", "handshake packet of", "protocol", "tls")
    end)

    it("with a stopped node, whose open connections live on", function()
      local connection <close> = assert(connect(node))
      assert.truthy(node:signal "STOP")
      assert_fails("timeout", "in time", node.name, options_for(node, { timeout = 300 }))
      local _, message, code = connection:call("erlang", "node", {}, 100)
      assert.equal("timeout", code, message)
      assert.truthy(node:signal "CONT")
      assert.equal(atom(node.name), connection:call("erlang", "node"))
    end)

    it("with a name that another program goes by, and with a node that lets only some in", function()
      local first <close> = assert(connect(node, { name = "operator@127.0.0.1" }))
      assert.equal("alive", select(3, connect(node, { name = "operator@127.0.0.1" })))
      local choosy <close> = nodes.start { eval = "net_kernel:allow(['ops@127.0.0.1'])" }
      assert.equal("not_allowed", select(3, connect(choosy)))
      assert_reaches(choosy, { name = "ops@127.0.0.1" })
      assert.is_true(first:is_open())
    end)

    it("where the cookie file can be read by others", function()
      local ask = [[print(select(2, require("edeliver.relup").connect(arg[1]))) ]]
      local home <close> = process.start { command = { "sleep", "60" } }
      os.execute(("umask 022; echo %s > %s/.erlang.cookie"):format(node.cookie, process.quote(home.folder)))
      local program <close> = operator(ask, { HOME = home.folder, ERL_EPMD_PORT = node.epmd_port }, node.name)
      assert.truthy(printed_by(program, "others than its owner can use"), program:printed())
    end)
  end)
end)

describe("a connection", function()
  local TICKTIME, LONGER = { "-kernel", "net_ticktime", "4" }, 6000 -- the node gives up on a silent peer after 3 to 5 s

  it("outlives the net_ticktime of a node, whatever Lua does meanwhile, and says so when it does not", function()
    local ours <close> = certificates.new()
    local certificate, key = ours:sign("node", "127.0.0.1")
    local secure_args, optfile = ours:node_arguments("node", certificate, key)
    table.move(TICKTIME, 1, #TICKTIME, #secure_args + 1, secure_args)
    local plain <close> = nodes.start { args = TICKTIME }
    local secure <close> = nodes.start { args = secure_args }
    local CONNECT = ([[node = assert(require("edeliver.relup").connect(%q, { cookie = %q, epmd_port = %d, tls = %s }))]])
    local prompt <close> = operator(CONNECT:format(secure.name, secure.cookie, secure.epmd_port,
      ("{ optfile = %q }"):format(optfile)) .. [[
        print "go on?" io.stdout:flush()
        io.read()
        print("still", node:call("erlang", "node"))]], {})
    local repl <close> = process.start {
      command = { "lua5.4", "-i" }, env = { LUA_PATH = package.path, LUA_CPATH = package.cpath } }
    assert.truthy(printed_by(prompt, "go on%?"), prompt:printed())
    repl:write(CONNECT:format(plain.name, plain.cookie, plain.epmd_port, "nil") .. " print(\"rea\" .. \"dy\")")
    assert.truthy(printed_by(repl, "ready\n"), repl:printed())

    local computing <close> = assert(connect(plain))
    local computing_tls <close> = assert(connect(secure, { tls = { optfile = optfile } }))
    local silent <close> = assert(connect(plain, { tick = 3600000 }))
    local silent_tls <close> = assert(connect(secure, { tick = 3600000, tls = { optfile = optfile } }))
    local until_then = process.now() + LONGER
    while process.now() < until_then do end -- a computation that never calls the module

    assert.equal(atom(plain.name), computing:call("erlang", "node"))
    assert.equal(atom(secure.name), computing_tls:call("erlang", "node"))
    prompt:write "yes"
    assert.truthy(printed_by(prompt, "still\t'"), prompt:printed())
    repl:write [[print("still", node:call("erlang", "node"))]]
    assert.truthy(printed_by(repl, "still\t'"), repl:printed())
    for _, lost in ipairs { silent, silent_tls } do
      local value, message, code = lost:call("erlang", "node")
      assert.is_nil(value)
      assert.equal("nodedown", code)
      assert.truthy(message:find("the connection to " .. lost.name .. " was lost", 1, true), message)
      assert.is_false(lost:is_open())
      assert.is_true(assert(lost:reconnect()))
      assert.equal(atom(lost.name), lost:call("erlang", "node"))
    end
  end)

  it("reports a node that is gone, and opens again when the node is back", function()
    local first = nodes.start { full_name = "phoenix@127.0.0.1" }
    local connection <close> = assert(connect(first))
    first:stop()
    assert.equal("nodedown", select(3, connection:call("erlang", "node")))
    assert.equal("nodedown", select(3, connection:reconnect()))
    local second <close> = nodes.start { full_name = first.name, cookie = first.cookie }
    assert.is_true(second:alive())
    assert.is_true(assert(connection:reconnect(5000)))
    assert.same(tuple { atom "ok", 1 }, connection:eval "{ok, 1}.")
  end)
end)
