-- The command line itself: help, usage, and the exit code 64. No node is needed.

local program = require "cli.program"
local parser = require "edeliver.relup.cli.parser"

describe("edeliver-relup", function()
  it("has a document and the exit code of a failure where the result cannot be written", function()
    local faulty = [[
      require("edeliver.relup.cli.commands.lint").command = function(args)
        args.output:give { setmetatable({}, { __tostring = function() error "no text" end }) }
        return args.relup == "suspended" and 3 or 0
      end]]
    for word, code in pairs { ok = 2, suspended = 3 } do
      local shown = program.run({ "lint", word, "--json" }, { env = { LUA_INIT = faulty } })
      assert.equal(code, shown.code, shown.err)
      local document = assert(require("dkjson").decode(shown.out))
      assert.equal(code, document.exit)
      assert.matches("a fault of edeliver%-relup itself: .*no text", document.error.message)
      assert.matches("no text", shown.err, 1, true)
    end
  end)

  it("says what it is for, and names every command", function()
    local shown = program.run "--help"
    assert.equal(0, shown.code)
    assert.equal("", shown.err)
    assert.matches("^Usage: edeliver%-relup NODE COMMAND", shown.out)
    assert.matches("Exit codes: 0 done", shown.out, 1, true)
    for _, name in ipairs(parser.commands) do assert.matches("\n   " .. name .. " ", shown.out, 1, true) end
  end)

  it("has help with an example for every command", function()
    for _, name in ipairs(parser.commands) do
      local shown = program.run(name .. " --help")
      assert.equal(0, shown.code, shown.err)
      assert.matches("Examples:\n  edeliver-relup ", shown.out, 1, true)
      local command = parser.command(name)
      local start = "Usage: edeliver-relup " .. (command.on_node and "NODE " or "") .. name
      assert.equal(start, shown.out:sub(1, #start))
      for line in shown.out:gmatch "[^\n]+" do
        assert.is_nil(line:find "%(default.*%(default", name .. " --help says a default twice: " .. line)
      end
    end
  end)

  it("does not exit with 0 where nobody can have read what it said", function()
    local words = program.command { "history", "--json" }
    local _, _, code = os.execute("( " .. words .. " ) >/dev/full 2>/dev/null")
    assert.equal(2, code)
    local _, _, piped = os.execute("( " .. words .. " ) 2>/dev/null | head -c 1 >/dev/null")
    assert.equal(0, piped)
  end)

  it("gives a document where --json or --json-lines asked for one", function()
    for _, option in ipairs { "--json", "--json-lines" } do
      local refused = program.run("a@b upgrade " .. option)
      assert.equal(64, refused.code)
      local document = assert(require("dkjson").decode(refused.out))
      assert.same({ 64, "usage", "missing argument 'version'" }, { document.exit, document.error.code, document.error.message })
      assert.matches("missing argument 'version'", refused.err, 1, true)
    end
  end)

  it("has one exit code for a kind of failure, whatever the command", function()
    local env = { EDELIVER_RELUP_COOKIE = "abc" }
    for _, name in ipairs(parser.commands) do
      local words = ({ call = "erlang node", ["make-permanent"] = "1", deploy = "/none" })[name]
        or (("upgrade downgrade check unpack remove"):find(name, 1, true) and "1") or ""
      if parser.command(name).on_node and name ~= "upload" then
        local refused = program.run(("nobody@127.0.0.1 --epmd-port 1 %s %s"):format(name, words), { env = env })
        assert.equal(2, refused.code, name .. ": " .. refused.err)
        assert.matches("no epmd answers", refused.err, 1, true)
      end
    end
    local many = program.run("rollout /none --epmd-port 1 --node nobody@127.0.0.1", { env = env })
    assert.same({ 2, true }, { many.code, many.err:find("no epmd answers", 1, true) ~= nil })
    for _, line in ipairs {
      "lint /none", "show /none", "diff /none /none", "patch /none --app x", "run /none", "plan /none /none", "a@b upload /none",
    } do
      local refused = program.run(line, { env = env })
      assert.equal(2, refused.code, line .. ": " .. refused.err)
      assert.matches("No such file", refused.err, 1, true)
    end
  end)

  it("tells its version", function()
    assert.matches("^edeliver%-relup %S+\n$", program.run("--version").out)
  end)

  it("takes the node before the command, as people say it, or after it, and options anywhere", function()
    for _, line in ipairs { "a@127.0.0.1 --epmd-port 1 status", "status a@127.0.0.1 --epmd-port 1",
      "--epmd-port 1 a@127.0.0.1 status", "--epmd-port 1 status a@127.0.0.1" } do
      local refused = program.run(line, { env = { EDELIVER_RELUP_COOKIE = "abc" } })
      assert.equal(2, refused.code)
      assert.matches("^edeliver%-relup status: .*epmd", refused.err)
    end
  end)

  for line, message in pairs {
    [""] = "a command is required",
    ["nonsense"] = "unknown command 'nonsense'",
    ["a@b upgrade"] = "missing argument 'version'",
    ["a@b status --nope"] = "unknown option '--nope'",
    ["a@b status --timeout soon"] = '"soon" is not a positive number',
    ["a@b status --dist-port 99999"] = '"99999" is not a port',
    ["a@b ps --sort name"] = "must be one of",
    ["a@b call lists reverse [1,"] = "is no Erlang term",
    ["patch some/relup"] = "missing option '--app'",
    ["a@b call lists"] = "missing argument 'function'",
    ["a@b upgrad 1.0"] = "unknown command 'upgrad'",
    ["a@b"] = "a command is required",
  } do
    it(("refuses %q: %s"):format(line, message), function()
      local refused = program.run(line)
      assert.equal(64, refused.code)
      assert.equal("", refused.out)
      assert.matches(message, refused.err, 1, true)
    end)
  end

  it("says so where Ctrl-C comes before any command has begun", function()
    local cut = program.run("a@b status", {
      env = { LUA_INIT = [[package.preload["edeliver.relup.cli"] = function() error "interrupted!" end]] },
    })
    assert.same({ 2, "edeliver-relup: interrupted\n" }, { cut.code, cut.err })
  end)

  it("refuses a node without a host", function()
    local refused = program.run("myapp status", { env = { EDELIVER_RELUP_COOKIE = "abc" } })
    assert.equal(64, refused.code)
    assert.matches("myapp", refused.err, 1, true)
  end)

  it("says in JSON, too, what went wrong, and on stderr as well", function()
    local refused = program.json("a@127.0.0.1 status --epmd-port 1", { env = { EDELIVER_RELUP_COOKIE = "abc" } })
    assert.equal(2, refused.code)
    assert.equal("edeliver-relup/1", refused.json.schema)
    assert.equal(2, refused.json.exit)
    assert.equal("no_epmd", refused.json.error.code)
    assert.equal("edeliver-relup status: " .. refused.json.error.message .. "\n", refused.err)
  end)
end)
