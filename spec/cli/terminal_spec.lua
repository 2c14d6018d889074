-- The program with a person at a terminal: questions, colours, progress, Ctrl-C, and the cookie that nobody sees.

local process = require "support.process"
local program = require "cli.program"
local proxy = require "support.proxy"
local shared = require "support.shared"
local terminal = require "cli.terminal"
local chat = require "support.chat"
local clients = require "support.clients"
local node = require "support.node"

local function open(on, words, options)
  options = setmetatable({ node = on }, { __index = options })
  return terminal.open(program.command(words, options), options.columns)
end

describe("a question before a node is touched that is not local", function()
  -- Another machine for all that the program can know; it is this one, as it is seldom written.
  local ELSEWHERE = "127.1"
  local remote = shared(node.start)

  it("names what will be done, and takes no for an answer", function()
    local screen <close> = open(remote, { remote.name, "call", "erlang", "node", "--address", ELSEWHERE })
    screen:wait_for("Calls erlang:node/0 on " .. remote.name:gsub("%p", "%%%0") .. "%. Continue%? %[y/N%]")
    screen:type("n", "Enter")
    assert.equal(1, screen:exit_code())
    screen:wait_for "You did not confirm it: nothing was done"
  end)

  it("says before an upgrade how many sockets there are", function()
    local release <close> = chat.start {}
    local sockets <close> = clients.open { port = release.ports.endpoint, count = 3 } -- luacheck: ignore sockets
    local screen <close> = open(release, { release.name, "upgrade", "2.0.0", "--address", ELSEWHERE })
    screen:wait_for("Upgrades chat on " .. release.name:gsub("%p", "%%%0") .. " to 2%.0%.0, with 3 websockets%. Continue%?")
    screen:type("", "Enter")
    assert.equal(1, screen:exit_code())
    assert.same({ ["1.0.0"] = "permanent" }, release:releases())
  end)

  it("takes yes", function()
    local screen <close> = open(remote, { remote.name, "call", "erlang", "node", "--address", ELSEWHERE })
    screen:wait_for "%[y/N%]"
    screen:type("y", "Enter")
    assert.equal(0, screen:exit_code())
  end)

  it("is not asked where --yes says so, and refused where there is nobody to ask", function()
    assert.equal(0, program.run({ remote.name, "call", "erlang", "node", "--address", ELSEWHERE, "--yes" },
      { node = remote }).code)
    local refused = program.run({ remote.name, "call", "erlang", "node", "--address", ELSEWHERE },
      { node = remote, input = "y\n" })
    assert.equal(1, refused.code)
    assert.matches("--yes confirms it", refused.err, 1, true)
  end)

  it("is asked where the name says this machine, and the address another", function()
    local here <close> = node.start {}
    local words = { here.name, "call", "erlang", "node", "--address" }
    local function refused(address)
      words[6] = address
      return program.run(words, { node = here })
    end
    local asked = refused(ELSEWHERE)
    assert.same({ 1, "" }, { asked.code, asked.out })
    assert.matches("--yes confirms it", asked.err, 1, true)
    assert.equal(0, refused("127.0.0.1").code)
  end)

  it("is not asked where there is nothing to recover", function()
    local nothing = program.run({ remote.name, "recover", "--address", ELSEWHERE }, { node = remote })
    assert.equal(0, nothing.code, nothing.err)
    assert.matches("Nothing to recover", nothing.out, 1, true)
  end)

  it("is not asked by commands that only look", function()
    assert.equal(0, program.run({ remote.name, "stuck", "--address", ELSEWHERE }, { node = remote }).code)
  end)
end)

describe("the cookie", function()
  local erlang = shared(node.start)

  local function cookie_file(mode)
    local path = erlang.folder .. "/cookie-" .. mode
    local file = assert(io.open(path, "w"))
    file:write(erlang.cookie, "\n")
    file:close()
    os.execute(("chmod %s %s"):format(mode, process.quote(path)))
    return path
  end

  local NO_HOME = { HOME = "/nonexistent" }

  it("comes from ~/.erlang.cookie, from a file, from the environment", function()
    assert.equal(0, program.run("NODE stuck", { node = erlang }).code)
    local words = { erlang.name, "stuck", "--cookie-file", cookie_file "600" }
    assert.equal(0, program.run(words, { node = erlang, env = NO_HOME }).code)
    assert.equal(0, program.run("NODE stuck", { node = erlang, env = {
      HOME = "/nonexistent", EDELIVER_RELUP_COOKIE = erlang.cookie } }).code)
    local none = program.run("NODE stuck", { node = erlang, env = NO_HOME })
    assert.equal(2, none.code)
    assert.matches("no cookie", none.err)
  end)

  it("is refused from a file that others can read", function()
    for _, mode in ipairs { "640", "604", "620" } do
      local refused = program.run({ erlang.name, "stuck", "--cookie-file", cookie_file(mode) }, { node = erlang })
      assert.equal(2, refused.code)
      assert.matches("others than its owner can use", refused.err)
      assert.is_nil(refused.err:find(erlang.cookie, 1, true))
    end
    os.execute(("chmod 644 %s/.erlang.cookie"):format(process.quote(erlang.folder)))
    assert.equal(2, program.run("NODE stuck", { node = erlang }).code)
    os.execute(("chmod 400 %s/.erlang.cookie"):format(process.quote(erlang.folder)))
  end)

  it("can be typed, unseen, and stands in no process's arguments", function()
    local screen <close> = open(erlang, { erlang.name, "repl", "--ask-cookie" }, { env = NO_HOME })
    screen:wait_for "Cookie:"
    screen:type(erlang.cookie, "Enter")
    screen:wait_for(erlang.name:gsub("%p", "%%%0") .. ">$")
    assert.is_nil(screen:screen():find(erlang.cookie, 1, true))
    -- The node itself was started with its cookie as an argument; nobody else may have it there.
    local holders = process.output(("grep -la -- %s /proc/[0-9]*/cmdline 2>/dev/null"):format(erlang.cookie))
    for pid in holders:gmatch "/proc/(%d+)/" do
      local line = process.read_file("/proc/" .. pid .. "/cmdline") or ""
      assert.is_nil(line:find("edeliver-relup", 1, true) and line:find("bin/edeliver-relup", 1, true), line)
    end
  end)

  it("leaves the terminal as it was when its prompt is interrupted", function()
    local screen <close> = open(erlang, { erlang.name, "stuck", "--ask-cookie" }, { env = NO_HOME })
    screen:wait_for "Cookie:"
    screen:type("", "C-c")
    assert.is_truthy(screen:exit_code() ~= 0)
  end)
end)

describe("a terminal", function()
  local release = shared(chat.start, { next = {} })

  it("has colours, unless NO_COLOR or --no-color says otherwise", function()
    local function colored(words, env)
      local screen <close> = open(release, words, { env = env })
      assert.equal(0, screen:exit_code())
      return screen:colored_screen():find "\27%[1m" ~= nil
    end
    assert.is_true(colored { release.name, "releases" })
    assert.is_false(colored({ release.name, "releases" }, { NO_COLOR = "1" }))
    assert.is_false(colored { release.name, "releases", "--no-color" })
    assert.is_nil(program.run("NODE releases", { node = release }).out:find "\27")
  end)

  it("has tables that fit, cut with an ellipsis; and whole ones elsewhere", function()
    local screen <close> = open(release, { release.name, "ps", "--limit", "5" }, { columns = 60 })
    assert.equal(0, screen:exit_code())
    local lines, cut = 0, 0
    for line in (screen:screen() .. "\n"):gmatch "([^\n]*)\n" do
      if line:find "^PID" or line:find "^<" then
        lines = lines + 1
        assert.is_true(utf8.len(line) <= 60, line)
        if line:find("…", 1, true) then cut = cut + 1 end
        assert.matches("%d$", line:find "^<" and line or "0")
      end
    end
    assert.equal(6, lines)
    assert.is_true(cut > 0)
    assert.is_nil(program.run("NODE ps --limit 5", { node = release }).out:find("…", 1, true))
  end)

  it("shows what is waited for, in a line that moves and goes away; nothing moves where nothing is coloured", function()
    local words = { release.name, "call", "timer", "sleep", "4000" }
    local screen <close> = open(release, words)
    screen:wait_for "[^\n%w] timer:sleep/1 %d s$"
    assert.equal(0, screen:exit_code())
    assert.equal("ok", screen:screen())
    for _, env in ipairs { { NO_COLOR = "1" }, { CI = "true" }, { TERM = "dumb" } } do
      local still <close> = open(release, { release.name, "call", "timer", "sleep", "500" }, { env = env })
      assert.equal(0, still:exit_code())
      assert.equal("ok", still:screen())
    end
  end)

  it("shows how far an upload is, its rate, and the time left; and then takes that away", function()
    local tarball = release.folder .. "/big-1.tar.gz"
    os.execute(("{ printf '\\037\\213'; head -c 60000000 /dev/zero; } > %s"):format(process.quote(tarball)))
    local between <close> = proxy.start(release:dist_port())
    between:slow(30000)
    local words = { release.name, "upload", tarball, "--dist-port", between.port }
    local screen <close> = open(release, words)
    screen:wait_for "upload %[#+%.+%] +%d+%%  [%d.]+ %a*B/s  %d+ s left"
    assert.equal(0, screen:exit_code(30000))
    assert.is_nil(screen:screen():find("s left", 1, true))
    assert.matches("big%-1.tar.gz: 60.0 MB in", screen:screen())
    os.remove(release.root .. "/releases/big-1.tar.gz")

    -- The same, and Ctrl-C in the middle: nothing of it stays.
    local again <close> = open(release, words)
    again:wait_for "upload %[#+%.+%]"
    again:type("", "C-c")
    assert.equal(2, again:exit_code())
    assert.matches("interrupted", again:screen())
    assert.equal("", (process.output(("ls -A %s/releases | grep big"):format(process.quote(release.root)))))
    os.remove(tarball)
  end)
end)

describe("Ctrl-C", function()
  local function upgrade_slowly(body)
    local release <close> = chat.start()
    local sockets <close> = clients.open { port = release.ports.endpoint, count = 8 }
    -- A request that runs on keeps finish_running_requests waiting; the rest of the way is as always.
    local script = release.folder .. "/slow.lua"
    local file = assert(io.open(script, "w"))
    file:write(([[
      local sequence_runner = require "edeliver.relup.cli.sequence_runner"
      local steps = sequence_runner.steps
      function sequence_runner.steps(install)
        local list = steps(install)
        table.insert(list, 7, { name = "wait_long", run = function(node) return node:sleep(60000) end })
        return list
      end
      os.exit(require("edeliver.relup.cli").main(arg), true)
    ]]))
    file:close()
    local command = program.command({ release.name, "upgrade", "2.0.0" }, { node = release })
    local screen <close> = terminal.open((command:gsub("bin/edeliver%-relup", script)))
    screen:wait_for "finish_running_requests done"
    screen:wait_for "[^\n%w] %[7/11%] wait_long %.%.%. %d+ s$"
    body(release, sockets, screen)
  end

  it("once: stops, resumes everybody, and says so", function()
    upgrade_slowly(function(release, sockets, screen)
      assert.equal(8, release:suspended())
      -- Meanwhile others see who is at it, and are kept out.
      local seen = program.json("NODE status", { node = release }).json.result
      assert.equal(8, seen.suspended)
      assert.equal("here", seen.guard.status)
      assert.equal(8, seen.guard.pids)
      for _, line in ipairs { "NODE check 2.0.0", "NODE upgrade 2.0.0", "NODE recover" } do
        local refused = program.json(line, { node = release })
        assert.equal(1, refused.code, refused.out)
        assert.equal("busy", refused.json.error.code)
      end
      screen:type("", "C-c")
      assert.equal(2, screen:exit_code())
      assert.matches("undone: 8 processes resumed", screen:screen())
      assert.matches("interrupted by SIGINT", screen:screen())
      assert.equal(0, release:suspended())
      assert.same({ ["1.0.0"] = "permanent", ["2.0.0"] = "unpacked" }, release:releases())
      local stats = sockets:drain()
      assert.same({ 8, 0, 0 }, { stats.open, stats.reconnects, stats.lost })
    end)
  end)

  it("twice: says what is still suspended, and goes on resuming", function()
    upgrade_slowly(function(release, _, screen)
      -- One of them cannot answer for a while.
      release:eval [[
        [Busy | _] = ranch:procs('Elixir.Chat.Endpoint.HTTP', connections),
        spawn(fun() -> register(holder, self()), erlang:suspend_process(Busy), receive go -> ok end end),
        Wait = fun Wait() -> {status, Now} = process_info(Busy, status), Now =:= suspended orelse Wait() end, Wait() ]]
      screen:type("", "C-c")
      screen:wait_for "wait_long failed"
      screen:type("", "C-c")
      screen:wait_for("SIGINT: still resuming; suspended on " .. release.name:gsub("%p", "%%%0") .. " are 1 process: %[<")
      release:eval "holder ! go"
      assert.equal(2, screen:exit_code())
      assert.equal(0, release:suspended())
    end)
  end)
end)
