-- The commands that look at a node or handle its processes, driven as at a shell, against the chat release.

local program = require "cli.program"
local chat = require "support.chat"
local clients = require "support.clients"
local node = require "support.node"
local process = require "support.process"
local shared = require "support.shared"

describe("edeliver-relup NODE", function()
  local release, sockets

  setup(function()
    release = chat.start()
    sockets = clients.open { port = release.ports.endpoint, count = 12, interval = 100 }
  end)

  teardown(function()
    if sockets then sockets:stop() end
    if release then release:stop() end
  end)

  local function run(line, options)
    return program.run(line, setmetatable({ node = release }, { __index = options }))
  end

  local function json(line) return program.json(line, { node = release }) end

  it("status: versions, listeners, sockets, nobody suspended, no guard", function()
    local shown = run "NODE status"
    assert.equal(0, shown.code, shown.err)
    for _, line in ipairs { "OTP          25", "release      chat 1.0.0", "releases     1.0.0 (permanent)", "websockets   12",
      "channels     12", "suspended    0", "guard        none", "acceptors    100" } do
      assert.matches(line, shown.out, 1, true)
    end
    local facts = json("NODE status").json
    assert.equal("edeliver-relup/1", facts.schema)
    assert.equal(release.name, facts.node)
    assert.same({ name = "chat", version = "1.0.0", status = "permanent" }, facts.result.release)
    assert.equal(12, facts.result.site.websockets)
    assert.equal(0, facts.result.suspended)
  end)

  it("ps: the top by memory, in order", function()
    local found = json("NODE ps --limit 7").json.result
    assert.equal(7, #found.processes)
    for i = 2, 7 do assert.is_true(found.processes[i - 1].memory >= found.processes[i].memory) end
    assert.is_true(found.total > 100)
    local shown = run "NODE ps --limit 3"
    assert.matches("^PID +NAME OR INITIAL CALL +CURRENT FUNCTION +MAILBOX +MEMORY +REDUCTIONS\n<", shown.out)
    assert.equal(5, select(2, shown.out:gsub("\n", "")))
  end)

  it("ps: only an application's, an initial call's, a function's", function()
    local channels = json("NODE ps --app chat --initial-call RoomChannel --sort mailbox").json.result
    assert.equal(12, channels.matching)
    assert.matches("RoomChannel", channels.processes[1].initial_call)
    local kernel = json("NODE ps --app kernel --initial-call RoomChannel").json.result
    assert.equal(0, kernel.matching)
    assert.same({}, kernel.processes)
    local websockets = json("NODE ps --function cowboy_websocket:loop --limit 100").json.result
    assert.is_true(websockets.matching >= 10)
    local refused = run "NODE ps --app nothing"
    assert.equal(1, refused.code)
    assert.matches("nothing does not run", refused.err, 1, true)
  end)

  it("ps: what changed in a window", function()
    local busy = json("NODE ps --sort reductions --window 400 --app chat --limit 5").json.result.processes
    assert.is_true(busy[1].change > 0)
    for i = 2, 5 do assert.is_true(busy[i - 1].change >= busy[i].change) end
  end)

  it("sockets: websockets and channels", function()
    local found = json("NODE sockets --limit 3").json.result
    assert.equal(12, found.websockets.count)
    assert.equal(3, #found.websockets.shown)
    assert.equal(12, found.channels.count)
    for _, kind in ipairs { "websockets", "channels" } do
      for _, each in ipairs(found[kind].shown) do
        assert.matches("^127.0.0.1:%d+$", each.peer)
        assert.same({ "room:lobby" }, each.topics)
        assert.is_nil(each.age)
      end
    end
    local one = json("NODE sockets --kind channels").json.result
    assert.is_nil(one.websockets)
    assert.matches("<[%d.]+> +127.0.0.1:%d+ +room:lobby +%- +0 ", run("NODE sockets --kind websockets").out)
    local last = found.channels.shown[3].pid
    release:eval(("P = list_to_pid(\"%s\"), sys:suspend(P), [gen_server:cast(P, N) || N <- lists:seq(1, 50)], ok"):format(last))
    local sorted = json("NODE sockets --kind channels --sort mailbox --limit 1").json.result.channels
    assert.same({ 12, 1, last }, { sorted.count, #sorted.shown, sorted.shown[1].pid })
    assert.is_true(sorted.shown[1].mailbox >= 50)
    release:eval(("sys:resume(list_to_pid(\"%s\"))"):format(last))
    local plain = json(("NODE sockets --port %d"):format(release.ports.plain)).json.result
    assert.equal(0, plain.websockets.count)
    local refused = run "NODE sockets --app kernel"
    assert.equal(1, refused.code)
    assert.matches("no Phoenix endpoint of kernel on .* has a ranch listener", refused.err)
  end)

  it("suspend, stuck, resume: the node agrees at each step", function()
    local suspended = json("NODE suspend")
    assert.equal(0, suspended.code, suspended.err)
    assert.same({ answer = "ok", asked = 12, suspended = 12, errors = {} }, suspended.json.result)
    assert.equal(12, release:suspended())
    local stuck = run "NODE stuck"
    assert.equal(0, stuck.code)
    assert.equal(12, select(2, stuck.out:gsub("sys:suspend_loop/", "")))
    local first = stuck.out:match "<%d+%.%d+%.%d+>"
    local one = run { release.name, "resume", first }
    assert.equal("1 of 1 process resumed.\n", one.out)
    assert.equal(11, release:suspended())
    local all = run "NODE resume"
    assert.equal("11 of 11 processes resumed.\n", all.out)
    assert.equal(0, release:suspended())
    assert.matches("^No process is suspended", run("NODE stuck").out)
  end)

  it("resume wakes those that hibernate, and resumes those of them who are suspended", function()
    release:eval "element(1, gen_event:start({local, napping}, [{hibernate_after, 20}]))"
    local function naps() return release:eval("process_info(whereis(napping), current_function)"):find "hibernate" end
    assert.truthy(process.wait_until(naps))
    local pid = release:eval("pid_to_list(whereis(napping))"):match "<[%d.]+>"
    assert.equal(0, run({ release.name, "suspend", pid }).code)
    assert.truthy(process.wait_until(naps))
    assert.matches("%d process%a* hibernate", run("NODE stuck").out)
    assert.equal("1 of 1 process resumed.\n", run("NODE resume").out)
    assert.equal("running", release:eval "lists:nth(2, element(4, sys:get_status(napping)))")
    release:eval "exit(whereis(napping), kill)"
  end)

  it("suspend --target channels leaves the websocket processes alone", function()
    assert.equal(0, run("NODE suspend --target channels").code)
    local stuck = json("NODE stuck").json.result.suspended
    assert.equal(12, #stuck)
    for _, each in ipairs(stuck) do assert.matches("RoomChannel", each.initial_call) end
    assert.equal(0, run("NODE resume").code)
  end)

  it("suspend: a process that does not answer is named, and the exit code says that something may be suspended", function()
    release:eval "register(deaf, spawn(timer, sleep, [infinity]))"
    local pid = assert(release:eval "pid_to_list(whereis(deaf))"):match "<[%d.]+>"
    local refused = program.json(("NODE suspend %s --wait 200"):format(pid:sub(2, -2)), { node = release })
    assert.equal(3, refused.code)
    assert.same({ { pid = pid, reason = "timeout" } }, refused.json.result.errors)
    release:eval "exit(whereis(deaf), kill)"
    local dead = program.json(("NODE resume %s"):format(pid:sub(2, -2)), { node = release })
    assert.equal(0, dead.code)
    assert.same({ { pid = pid, reason = "noproc" } }, dead.json.result.errors)
    assert.equal(64, run("NODE suspend 1.2").code)
  end)

  it("releases: what release_handler knows, and the tarballs", function()
    local shown = run "NODE releases"
    assert.equal("VERSION  STATUS     RELEASE\n1.0.0    permanent  chat\ntarball  chat-2.0.0.tar.gz\n", shown.out)
  end)

  it("call: terms in, a term out", function()
    local shown = run { release.name, "call", "lists", "reverse", "[1, {a, <<\"b\">>}, \"c\"]" }
    assert.equal("[\"c\",{a,<<\"b\">>},1]\n", shown.out)
    assert.equal("'" .. release.name .. "'\n", run("NODE call erlang node").out)
    local refused = program.json("NODE call erlang error oops", { node = release })
    assert.equal(2, refused.code)
    assert.equal("error", refused.json.error.code)
    assert.matches("erlang:error/1 failed on " .. release.name, refused.json.error.message, 1, true)
    assert.matches("oops", refused.err)
  end)

  it("call: shows what is printed on the way", function()
    local shown = run { release.name, "call", "io", "format", '"hello ~p~n"', "[[world]]" }
    assert.equal("hello [world]\nok\n", shown.out)
    assert.equal("hi", program.json("NODE call io put_chars <<\"hi\">>", { node = release }).json.result.printed)
  end)

  it("call: keeps the beginning of what is printed, and says how much more there was", function()
    local most = 4 << 20
    local arguments = ("[%d,8364]"):format(most // 3 + 1001) -- three bytes each: the last one does not fit whole
    local result = program.json("NODE call --wait 60000 io format \"~*tc\" " .. arguments, { node = release }).json.result
    assert.equal("ok", result.value)
    assert.equal(most - most % 3, #result.printed)
    assert.equal("€", result.printed:sub(-3))
    assert.equal(3003, result.not_printed)
    local shown = run { release.name, "call", "--wait", "60000", "io", "format", '"~*tc"', arguments }
    assert.equal(0, shown.code)
    assert.matches("3003 bytes more were printed, and not shown", shown.err, 1, true)
  end)

  it("call: what a node says cannot drive the terminal", function()
    local shown = run { release.name, "call", "erlang", "list_to_atom", "[27, $[, $3, $1, $m, 155, 7]" }
    assert.equal(0, shown.code, shown.err)
    assert.is_nil(shown.out:find "[%z\1-\9\11-\31\127]")
    assert.is_nil(shown.out:find "\xC2[\x80-\x9F]")
  end)

  it("tells a wrong cookie, without telling any cookie", function()
    local wrong = "wrongcookie4711"
    for _, line in ipairs { "NODE status", "NODE status --json", "NODE upgrade 2.0.0" } do
      local refused = run(line, { env = { EDELIVER_RELUP_COOKIE = wrong } })
      assert.equal(2, refused.code)
      assert.matches("cookie", refused.err)
      for _, text in ipairs { refused.out, refused.err } do
        assert.is_nil(text:find(wrong, 1, true))
        assert.is_nil(text:find(release.cookie, 1, true))
      end
    end
  end)

  it("asks nobody about a node that is down", function()
    local refused = run "nobody@127.0.0.1 upgrade 2.0.0"
    assert.equal(2, refused.code)
    assert.matches('knows no node "nobody"', refused.err, 1, true)
  end)
end)

describe("edeliver-relup on a node that is no release", function()
  local plain = shared(node.start)

  it("shows its status all the same", function()
    local shown = program.json("NODE status", { node = plain })
    assert.equal(0, shown.code, shown.err)
    assert.is_nil(shown.json.result.release)
    assert.matches("no release_handler runs", shown.json.result.no_release)
  end)

  it("refuses to upgrade it", function()
    local refused = program.run("NODE upgrade 2.0.0", { node = plain })
    assert.equal(1, refused.code)
    assert.matches("no release_handler runs", refused.err)
  end)
end)
