-- What the program that the C module runs in has to put up with: closed descriptors, children that inherit, dumps of its memory;
-- and cookies of characters beyond ASCII, given and in files.

local nodes = require "support.node"
local process = require "support.process"
local relup = require "edeliver.relup"
local shared = require "support.shared"

local atom = relup.term.atom

describe("a program", function()

  local node = shared(nodes.start)

  -- Runs a Lua program to its end, with its standard descriptors as `redirections` have them.
  local function run(text, redirections, env)
    local path = node.folder .. "/program.lua"
    local file <close> = assert(io.open(path, "w"))
    file:write(text)
    file:flush()
    return process.output(("cd %s && env LUA_PATH=%s LUA_CPATH=%s HOME=%s ERL_EPMD_PORT=%d %s lua5.4 %s %s 2>&1 %s"):format(
      process.quote(process.root), process.quote(package.path), process.quote(package.cpath), process.quote(node.folder),
      node.epmd_port, env or "", process.quote(path), process.quote(node.name), redirections or ""))
  end

  local CONNECTED = [[
    local relup, core = require "edeliver.relup", require "edeliver.relup.core"
    local node <close> = assert(relup.connect(arg[1]))
  ]]

  it("that is started with its standard descriptors closed prints nothing into the connection", function()
    local seen = node.folder .. "/seen"
    for _, closed in ipairs { "<&-", ">&-", "2>&-", "<&- >&- 2>&-" } do
      run(CONNECTED .. ([[
        print "to nobody"
        io.stderr:write "to nobody\n"
        io.stdout:flush()
        local first = node:call("erlang", "node")
        local file = assert(io.open(%q, "w"))
        file:write(tostring(node:pollfd() > 2), " ", tostring(first), " ", tostring(io.read "l"))
        file:close()]]):format(seen), closed)
      assert.equal(("true '%s' nil"):format(node.name), process.read_file(seen), closed)
      os.remove(seen)
    end
  end)

  it("that has a connection hands no descriptor of it to what it starts", function()
    local printed = run(CONNECTED .. [[
      assert(node:call("erlang", "node"))
      local pipe <close> = assert(io.popen "ls -l /proc/self/fd")
      print(pipe:read "a")]], "</dev/null")
    assert.truthy(printed:find("/dev/null", 1, true), printed)
    assert.is_nil(printed:find("socket:", 1, true), printed)
  end)

  it("`edeliver-relup` keeps its memory out of core dumps, unless it is told not to", function()
    local ask = [[
      local core = require "edeliver.relup.core"
      local refuse = core.no_core_dumps
      core.no_core_dumps = function() print("no dumps: " .. tostring(refuse())) end
      require "edeliver.relup.cli".main { "--version" }]]
    assert.matches("no dumps: true", (run(ask)))
    assert.is_nil(run(ask, "", "EDELIVER_RELUP_CORE_DUMPS=1"):find "no dumps")
  end)

  describe("gives a cookie beyond ASCII", function()
    local EACUTE = "caf\u{e9}"

    local function asks_as(cookie)
      local other, message, code = relup.connect(node.name, { cookie = cookie, epmd_port = node.epmd_port })
      if not other then return code, message end
      local open <close> = other
      return open:call("erlang", "node")
    end

    local kept
    setup(function() kept = node.cookie end)
    teardown(function()
      node.cookie = kept
      local file <close> = assert(io.open(node.folder .. "/.erlang.cookie", "w"))
      file:write(kept)
    end)

    local function write_cookie(bytes)
      os.execute(("chmod 600 %s/.erlang.cookie"):format(node.folder))
      local file <close> = assert(io.open(node.folder .. "/.erlang.cookie", "w"))
      file:write(bytes)
    end

    it("as Latin-1, as Erlang's digest takes an atom", function()
      -- Set by a call, since erl_call would have to know it, too.
      local first <close> = node:connect()
      assert(first:eval("erlang:set_cookie(node(), list_to_atom(\"caf\" ++ [233])).", {}))
      assert.equal(atom(node.name), (asks_as(EACUTE)))
      assert.equal("auth", (asks_as "cafe"))
      assert.equal("auth", (asks_as "caf\u{c3}\u{a9}"))
      local code, message = asks_as "caf\u{20ac}"
      assert.equal("badarg", code)
      assert.truthy(message:find("Latin-1", 1, true), message)
      write_cookie "caf\xe9"
      local printed = run(CONNECTED .. [[print("it is " .. tostring(node:call("erlang", "node")))]])
      assert.equal(("it is '%s'\n"):format(node.name), printed)
    end)
  end)
end)
