-- TLS on the command line: whatever option of it is given, nothing is sent in the clear.

local certificates = require "support.certificates"
local nodes = require "support.node"
local process = require "support.process"
local program = require "cli.program"

describe("edeliver-relup", function()
  local ours, certificate, key, plain, secure

  setup(function()
    ours = certificates.new()
    certificate, key = ours:sign("node", "127.0.0.1")
    secure = nodes.start { args = ours:node_arguments("node", certificate, key) }
    plain = nodes.start()
  end)

  teardown(function()
    secure:stop()
    plain:stop()
    ours:remove()
  end)

  local function call(on, options, env)
    local words = { on.name, "call", "erlang", "node" }
    table.move(options, 1, #options, #words + 1, words)
    return program.run(words, { node = on, env = env })
  end

  it("connects in the clear to a plain node where nothing of TLS is said", function()
    assert.equal(0, call(plain, {}).code)
  end)

  it("speaks TLS or not at all, whichever of its options is given", function()
    local optfile = process.temporary_folder() .. "/ssl.conf"
    local out = assert(io.open(optfile, "w"))
    out:write "[{client, []}]."
    out:close()
    os.execute("chmod 600 " .. optfile)
    for option, value in pairs {
      ["--tls-name"] = "127.0.0.1", ["--tls-key"] = key, ["--tls-cert"] = certificate, ["--tls-optfile"] = optfile,
    } do
      local refused = call(plain, { option, value })
      assert.equal(2, refused.code, option)
      assert.matches("there is no cacertfile to check its certificate with", refused.err, 1, true)
      assert.equal("", refused.out)
    end
    process.remove_folder((optfile:gsub("/[^/]*$", "")))
    local silent = call(plain, { "--tls-ca", ours.ca, "--timeout", "500" })
    assert.equal(2, silent.code)
    assert.matches("does not speak TLS", silent.err, 1, true)
  end)

  it("speaks TLS where the environment requires it, also in scripts", function()
    local REQUIRED = { EDELIVER_RELUP_TLS = "required" }
    local refused = call(plain, {}, REQUIRED)
    assert.equal(2, refused.code)
    assert.matches("there is no cacertfile to check its certificate with", refused.err, 1, true)
    assert.equal(0, call(secure, { "--tls-ca", ours.ca, "--tls-cert", certificate, "--tls-key", key }, REQUIRED).code)
    local wrong = call(plain, {}, { EDELIVER_RELUP_TLS = "yes" })
    assert.equal(2, wrong.code)
    assert.matches('EDELIVER_RELUP_TLS is "yes": it can say "required", and nothing else', wrong.err, 1, true)
    assert.equal(0, call(plain, {}, { EDELIVER_RELUP_TLS = "" }).code)
    local printed = process.output(("EDELIVER_RELUP_TLS=required LUA_PATH=%s LUA_CPATH=%s lua5.4 -e %s 2>&1"):format(
      process.quote(package.path), process.quote(package.cpath), process.quote(
        ("print(require('edeliver.relup').connect(%q, { cookie = %q, epmd_port = %d }))"):format(
          plain.name, plain.cookie, plain.epmd_port))))
    assert.matches("^nil\t.*there is no cacertfile", printed)
  end)
end)

describe("a node counts as local", function()
  local session = require "edeliver.relup.cli.session"

  for name, case in pairs {
    ["by its name"] = { "myapp@127.0.0.1", nil, true }, ["on localhost"] = { "myapp@localhost", nil, true },
    ["by name and address"] = { "myapp@127.0.0.1", "127.0.0.2", true }, ["over IPv6"] = { "myapp@127.0.0.1", "::1", true },
    ["nowhere else"] = { "myapp@web1", nil, false }, ["not by its name alone"] = { "myapp@127.0.0.1", "10.0.0.7", false },
    ["not by a name that only looks like it"] = { "myapp@127.0.0.1.example.com", nil, false },
    ["not at the end of a tunnel"] = { "myapp@web1", "127.0.0.1", false },
  } do
    it(name, function() assert.equal(case[3], session.is_local { node = case[1], address = case[2] }) end)
  end
end)
