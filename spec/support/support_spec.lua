-- Checks the specs' own tools, by Erlang's means alone: the release is a real one, the clients count right, and an upgrade
-- made by hand reaches open websockets. What other specs build on holds by itself.

local process = require "support.process"
local node = require "support.node"
local chat = require "support.chat"
local clients = require "support.clients"
local shared = require "support.shared"

local function gone(pid)
  return process.wait_until(function() return not process.read_file("/proc/" .. pid .. "/stat") end, 3000)
end

describe("support.process", function()
  it("ends what it started, and removes its folder", function()
    local sleeper = process.start { command = { "sleep", "100" } }
    local pid = assert(process.wait_until(function() return sleeper:pid() end))
    assert.is_nil(sleeper:exited())
    sleeper:stop()
    assert.truthy(gone(pid))
    assert.is_nil(process.read_file(sleeper.folder .. "/pid"))
  end)

  it("hands lines on, and tells the exit status", function()
    local reader <close> = process.start { command = { "sh", "-c", "read line; echo \"got $line\"; exit 7" } }
    reader:write "it's a line"
    assert.equal(7, process.wait_until(function() return reader:exited() end))
    assert.equal("got it's a line\n", reader:printed())
  end)

  it("leaves nothing behind when the program that started it is killed", function()
    local script = os.tmpname()
    local file = assert(io.open(script, "w"))
    file:write(([[
      package.path = "%s/spec/?.lua;" .. package.path
      local process = require "support.process"
      local sleeper = process.start { command = { "sleep", "100" } }
      process.wait_until(function() return sleeper:pid() end)
      print(sleeper:pid(), sleeper.folder)
      io.stdout:flush()
      os.execute "kill -9 $PPID"
    ]]):format(process.root))
    file:close()
    local pid, folder = process.output("lua5.4 " .. script .. " 2>/dev/null"):match "(%d+)%s+(%S+)"
    os.remove(script)
    assert.truthy(gone(assert(pid)))
    assert.truthy(process.wait_until(function() return not process.output("ls -d " .. folder .. " 2>/dev/null"):find "%S" end))
  end)
end)

describe("support.node", function()
  it("starts nodes that know each other by name, on an epmd of our own", function()
    local one <close> = node.start { cookie = "shared" }
    local two <close> = node.start { cookie = "shared", eval = "register(me, self())" }
    assert.equal("pong", one:eval(("net_adm:ping('%s')"):format(two.name)))
    assert.equal("true", two:eval "is_list(process_info(whereis(init)))")
    local value, message = one:eval "error(oops)"
    assert.is_nil(value)
    assert.matches("{error,oops}", message, 1, true)
    local pid = one:pid()
    one:stop()
    assert.truthy(gone(pid))
    assert.equal("pang", two:eval(("net_adm:ping('%s')"):format(one.name)))
  end)

  it("starts nodes with short names", function()
    local short <close> = node.start { short = true }
    assert.equal(("'%s'"):format(short.name), (short:eval("node()"):gsub("^([^']+)$", "'%1'")))
  end)
end)

for _, ranch in ipairs { 2, 1 } do
  describe("support.chat on ranch " .. ranch, function()
    if not chat.available(ranch) then
      pending("needs ranch " .. ranch .. ": see tools/erlang-libs")
      return
    end
    local release = shared(chat.start, { ranch = ranch })

    it("is a permanent release, under a listener of that ranch", function()
      assert.same({ ["1.0.0"] = "permanent" }, release:releases())
      assert.equal(ranch, tonumber(release:eval "element(2, application:get_key(ranch, vsn))":match '"(%d+)'))
      local id = ranch == 2 and "ranch_embedded_sup" or "ranch_listener_sup"
      assert.equal(("[{%s,'Elixir.Chat.Endpoint.HTTP'}]"):format(id), release:eval(([[
        [Id || {{%s, _} = Id, _, supervisor, _} <- supervisor:which_children('Elixir.Chat.Endpoint')] ]]):format(id)))
    end)

    it("relates a websocket and its channel as Phoenix does", function()
      local sockets <close> = clients.open { port = release.ports.endpoint, count = 3 }
      assert.equal(3, sockets:stats().open)
      local related = release:eval [[
        Keys = element(3, element(2, hd(ets:lookup('Elixir.Chat.PubSub', -2)))),
        [{Topic,
          hd(proplists:get_value('$callers', element(2, process_info(Channel, dictionary)))) =:= Transport,
          lists:member({process, Channel}, element(2, process_info(Transport, monitors))),
          lists:member({process, Transport}, element(2, process_info(Channel, monitors))),
          lists:member(Transport, ranch:procs('Elixir.Chat.Endpoint.HTTP', connections))}
         || {Topic, {Channel, {fastlane, Transport, _, _}}} <- ets:tab2list(Keys)] ]]
      local row = '{<<"room:lobby">>,true,true,true,true}'
      assert.equal(("[%s,%s,%s]"):format(row, row, row), related)
    end)

    it("types the connections of its listeners as cowboy and Plug.Cowboy do", function()
      for name, type in pairs { endpoint = "worker", workers = "worker", plain = "supervisor" } do
        local sockets <close> = clients.open { port = release.ports[name], topic = false, frame = "heartbeat" }
        local ref = ({ endpoint = "'Elixir.Chat.Endpoint.HTTP'", workers = "chat_workers", plain = "chat_plain" })[name]
        assert.equal(("[%s]"):format(type), release:eval(([[
          [P] = ranch:procs(%s, connections),
          {parent, Sup} = {parent, hd(element(2, lists:keyfind('$ancestors', 1, element(2, process_info(P, dictionary)))))},
          [Type || {cowboy_clear, Pid, Type, _} <- supervisor:which_children(Sup), Pid =:= P] ]]):format(ref)))
        sockets:close()
      end
    end)

    it("counts every socket, every ping and every broadcast", function()
      local sockets <close> = clients.open { port = release.ports.endpoint, count = 50, interval = 50, topic = "room:" .. ranch }
      sockets:say "hello to all"
      process.sleep(400)
      local stats = sockets:drain()
      assert.equal(50, stats.open)
      assert.equal(50, stats.broadcasts)
      assert.is_true(stats.sent >= 50 * 5)
      assert.equal(stats.sent, stats.answered)
      assert.same({ ["1.0.0"] = stats.sent }, stats.versions)
      assert.same({ 0, 0, 0, 0 }, { stats.lost, stats.pending, stats.reconnects, stats.disorder })
    end)

    it("tells sockets that close by themselves from those that are cut off", function()
      local sockets <close> = clients.open { port = release.ports.endpoint, count = 20, interval = 20, life = 100 }
      assert.truthy(process.wait_until(function() return sockets:stats().renewed >= 60 end))
      local stats = sockets:drain()
      assert.equal(20, stats.open)
      assert.equal(stats.sent, stats.answered)
      assert.same({ 0, 0, 0, 0 }, { stats.lost, stats.reconnects, stats.refused, stats.disorder })
      local ended = sockets:stats().renewed
      process.sleep(300)
      assert.equal(ended, sockets:stats().renewed)
      assert.equal("20", release:eval "length(ranch:procs('Elixir.Chat.Endpoint.HTTP', connections))")
    end)

    it("holds sockets that close and open for as long as nobody answers, and loses none", function()
      local sockets <close> = clients.open { port = release.ports.endpoint, count = 10, interval = 20, life = 50 }
      -- One of them may close between the list and its turn.
      release:eval "[(catch sys:suspend(P)) || P <- ranch:procs('Elixir.Chat.Endpoint.HTTP', connections)]"
      process.sleep(300)
      release:eval "[(catch sys:resume(P)) || P <- ranch:procs('Elixir.Chat.Endpoint.HTTP', connections)]"
      local stats = sockets:drain()
      assert.equal(10, stats.open)
      assert.equal(stats.sent, stats.answered)
      assert.same({ 0, 0, 0 }, { stats.lost, stats.reconnects, stats.refused })
    end)

    it("shows sockets that were cut off, and what was lost with them", function()
      local sockets <close> = clients.open { port = release.ports.endpoint, count = 5, interval = 20 }
      release:eval "[sys:suspend(P) || P <- ranch:procs('Elixir.Chat.Endpoint.HTTP', connections)]"
      process.sleep(200)
      local standing = sockets:stats()
      assert.is_true(standing.still_max >= 150)
      assert.is_true(standing.pending > 0)
      release:eval "[exit(P, kill) || P <- ranch:procs('Elixir.Chat.Endpoint.HTTP', connections)]"
      assert.truthy(process.wait_until(function() return sockets:stats().reconnects == 5 end))
      assert.truthy(process.wait_until(function() return sockets:stats().open == 5 end))
      local stats = sockets:drain()
      assert.is_true(stats.lost >= standing.pending)
      assert.equal(stats.sent, stats.answered + stats.lost)
    end)

    it("has requests that wait out an upgrade when they are told of it, and connections that idle after a request", function()
      local client <close> = clients.start()
      local id = client:get(release.ports.endpoint, "/rerun?ms=300")
      local tell = "[P ! %s || P <- processes(), process_info(P, current_function) =:= {current_function, {chat_http, work, 2}}]"
      assert.truthy(process.wait_until(function() return release:eval(tell:format "upgrade_started") == "[upgrade_started]" end))
      assert.is_nil(client:body(id, 500))
      release:eval(tell:format "upgrade_finished")
      assert.equal("200 1.0.0 rerun", client:body(id, 2000))
      local connections = "length(ranch:procs('Elixir.Chat.Endpoint.HTTP', connections))"
      assert.equal("1", release:eval(connections))
      client:hang_up()
      assert.truthy(process.wait_until(function() return release:eval(connections) == "0" end))
    end)

    it("runs the new code on open websockets once its own release handler has installed it", function()
      local sockets <close> = clients.open { port = release.ports.endpoint, count = 20, interval = 50 }
      local slow = sockets:get(release.ports.endpoint, "/slow?ms=1000")
      local joins = sockets:body(sockets:get(release.ports.endpoint, "/"), 2000)
      assert.matches("^200 1.0.0 %d+$", joins)
      assert.equal('{ok,"1.0.0",[]}', release:install "2.0.0")
      assert.same({ ["1.0.0"] = "permanent", ["2.0.0"] = "current" }, release:releases())
      sockets:reset()
      process.sleep(300)
      local stats = sockets:drain()
      assert.equal(20, stats.open)
      assert.equal(0, stats.reconnects + stats.lost + stats.pending)
      assert.is_true(stats.versions["2.0.0"] >= 20 * 4)
      -- A request runs to its end in the code that took it; the counter's state went through code_change.
      assert.equal("200 1.0.0 slow", sockets:body(slow, 3000))
      assert.equal((joins:gsub("1.0.0", "2.0.0")), sockets:body(sockets:get(release.ports.endpoint, "/"), 2000))
    end)
  end)
end

describe("support.chat with a second version that fails", function()
  it("changes nothing when it fails before the point of no return", function()
    local release <close> = chat.start { next = { "2.0.1-early" } }
    local pid = release:pid()
    assert.matches("^{error,.*chat_upgrade_fails", release:install "2.0.1-early")
    assert.same({ ["1.0.0"] = "permanent", ["2.0.1-early"] = "unpacked" }, release:releases())
    local client <close> = clients.start()
    assert.equal("200 1.0.0 0", client:body(client:get(release.ports.endpoint, "/"), 2000))
    assert.equal(pid, release:pid())
  end)

  it("comes back with the old version when it fails after the point of no return", function()
    local release <close> = chat.start { next = { "2.0.1-late" } }
    local port = release.ports.endpoint
    release:install "2.0.1-late"
    assert.truthy(process.wait_until(function() return release:current_ports().endpoint ~= port end, 10000))
    assert.same({ ["1.0.0"] = "permanent", ["2.0.1-late"] = "unpacked" }, release:releases())
    assert.equal("1.0.0", release:version())
  end)
end)

describe("support.verdict", function()
  local observer = require "support.observer"
  local verdict = require "support.verdict"

  -- What is not true of a run that ended with ok, on a node that was killed then, where it runs 1.0.0 again.
  local function lies(record)
    local path = process.temporary_folder() .. "/observed"
    local file = assert(io.open(path, "w"))
    file:write(record)
    file:close()
    local seen = observer.new(path):seen()
    process.remove_folder(path:match "^(.*)/")
    return verdict.lies {
      status = 0, printed = "", seen = seen, version = "2.0.0", dead = true,
      document = { exit = 0, result = { ok = true, suspended = 60, steps = {} } },
    }
  end

  it("takes the version for the right one that ran until the node was killed, and no other", function()
    assert.same({}, lies "1 code 1.0.0\n2 code 2.0.0\n3 start 7\n4 code 1.0.0\n")
    assert.same({}, lies "1 code 1.0.0\n2 code 2.0.0\n")
    assert.same({ "ok, and 1.0.0 runs instead of 2.0.0" }, lies "1 code 1.0.0\n3 start 7\n4 code 1.0.0\n")
  end)
end)
