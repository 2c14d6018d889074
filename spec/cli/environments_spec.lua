-- @NAME on the command line: environments of a configuration file.

local process = require "support.process"
local program = require "cli.program"

describe("an environment", function()
  local home

  before_each(function()
    home = process.temporary_folder()
    os.execute("mkdir -p " .. process.quote(home .. "/edeliver-relup"))
  end)

  after_each(function() process.remove_folder(home) end)

  local function configure(text, mode)
    local path = home .. "/edeliver-relup/config.lua"
    local out = assert(io.open(path, "w"))
    out:write(text)
    out:close()
    os.execute(("chmod %s %s"):format(mode or "600", process.quote(path)))
  end

  local function run(line)
    return program.run(line, { env = { XDG_CONFIG_HOME = home, EDELIVER_RELUP_COOKIE = "abc" } })
  end

  it("names a node and its options, and the command line wins", function()
    configure [[return { staging = { node = "app@127.0.0.1", epmd_port = 1, timeout = 2000, target = "channels" } }]]
    local shown = run "@staging status"
    assert.equal(2, shown.code)
    assert.matches("127.0.0.1 port 1 ", shown.err, 1, true)
    assert.matches("127.0.0.1 port 2 ", run("@staging status --epmd-port 2").err, 1, true)
    assert.matches("other@127.0.0.1", run("@staging other@127.0.0.1 status --json").out, 1, true)
  end)

  for name, case in pairs {
    ["that is not there"] = { text = "return { a = {} }", line = "@b status", message = "has no environment b: it has @a" },
    ["of several nodes, where one is wanted"] = {
      text = [[return { a = { nodes = { "x@h", "y@h" } } }]], line = "@a status", message = "@a has 2 nodes: name one of them",
    },
    ["in a file that runs for ever"] = {
      text = "return { a = (function() while true do end end)() }", line = "@a status", message = "it takes too long",
    },
    ["in a file that calls something"] = { text = "os.exit(0)", line = "@a status", message = "global 'os'" },
    ["in a file that calls a method of a string"] = {
      text = [[return { a = ("x"):rep(1 << 40) }]], line = "@a status", message = "attempt to index a string value",
    },
    ["in a file that is no Lua"] = { text = "return {", line = "@a status", message = "config.lua:1:" },
    ["in a file that others can write"] = {
      text = [[return { a = { node = "x@h" } }]], mode = "666", line = "@a status", message = "others can write it",
    },
  } do
    it("is refused " .. name, function()
      configure(case.text, case.mode)
      local shown = run(case.line)
      assert.equal(64, shown.code)
      assert.matches(case.message, shown.err, 1, true)
      assert.equal("", shown.out)
    end)
  end
end)
