-- TLS distribution against real nodes: what is talked over it, and how each refusal is named.

local certificates = require "support.certificates"
local nodes = require "support.node"
local process = require "support.process"
local relup = require "edeliver.relup"
local atom = relup.term.atom

describe("TLS distribution", function()
  local ours, others -- two CAs
  local certificate, key -- our own
  local old, new, plain -- nodes: TLS 1.2, the newest, none
  local optfile

  setup(function()
    ours, others = certificates.new(), certificates.new()
    certificate, key = ours:sign("operator", "operator")
    local node_certificate, node_key = ours:sign("node", "127.0.0.1")
    local old_arguments = ours:node_arguments("old", node_certificate, node_key, { "{versions, ['tlsv1.2']}" })
    local new_arguments
    new_arguments, optfile = ours:node_arguments("new", node_certificate, node_key, { "{versions, ['tlsv1.3']}" })
    old = nodes.start { args = old_arguments }
    new = nodes.start { args = new_arguments }
    plain = nodes.start()
  end)

  teardown(function()
    for _, node in ipairs { old, new, plain } do node:stop() end
    ours:remove()
    others:remove()
  end)

  local function tls(more)
    local options = { cacertfile = ours.ca, certfile = certificate, keyfile = key }
    for option, value in pairs(more or {}) do options[option] = value or nil end
    return options
  end

  local function connect(to, options, more)
    local given = { cookie = to.cookie, epmd_port = to.epmd_port, timeout = 5000 * process.patience, tls = options }
    for option, value in pairs(more or {}) do given[option] = value end
    return relup.connect(to.name, given)
  end

  local function assert_refused(code, says, to, options, more)
    local node, message, got = connect(to, options, more)
    assert.is_nil(node)
    assert.equal(code, got, message)
    assert.truthy(message:find(says, 1, true), message)
    assert.is_nil(message:find(to.cookie, 1, true))
  end

  local function assert_talks(node)
    assert.equal(atom(node.name), node:call("erlang", "node"))
    local big = ("x"):rep(3000000)
    assert.equal(#big, node:call("erlang", "byte_size", { big }))
    assert.equal(big, node:call("erlang", "list_to_binary", { { big } }))
    assert.truthy(#node:processes() > 10)
    local pid = assert(node:call("erlang", "whereis", { atom "kernel_sup" }))
    local reference = assert(node:monitor(pid))
    assert.truthy(node:demonitor(reference))
  end

  it("talks TLS 1.2 and 1.3", function()
    for _, to in ipairs { old, new } do
      local node <close> = assert(connect(to, tls()))
      assert_talks(node)
    end
  end)

  it("is what the node itself takes for TLS", function()
    for to, kind in pairs { [new] = "pid", [plain] = "port" } do -- who has the socket: a process of ssl, or nobody
      local node <close> = assert(connect(to, to == new and tls() or nil))
      local controllers = assert(node:call("erlang", "system_info", { atom "dist_ctrl" }))
      assert.truthy(#controllers > 0) -- others may be on their way out
      for _, controller in ipairs(controllers) do assert.equal(kind, relup.term.kind(controller[2])) end
    end
  end)

  it("keeps several calls in flight, and a reader and a writer at once", function()
    local node <close> = assert(connect(new, tls()))
    local requests = {}
    for i = 1, 50 do requests[i] = assert(node:request("lists", "duplicate", { 1000 * i, i })) end
    for i = 50, 1, -1 do assert.equal(1000 * i, #node:await(requests[i], 10000)) end
  end)

  it("takes its files from the node's ssl_dist_optfile", function()
    local node <close> = assert(connect(new, { optfile = optfile }))
    assert_talks(node)
  end)

  it("takes a certificate for another host by its name only", function()
    local elsewhere <close> = nodes.start {
      args = ours:node_arguments("elsewhere", ours:sign("web1", "web1.example")) }
    assert_refused("tls", "another host", elsewhere, tls())
    assert_refused("tls", "server_name", elsewhere, tls { server_name = "web2.example" })
    local node <close> = assert(connect(elsewhere, tls { server_name = "web1.example" }))
    assert_talks(node)
  end)

  it("refuses a certificate of a CA that it does not know, and one that has expired", function()
    assert_refused("tls", "no CA in cacertfile has signed it", new, tls { cacertfile = others.ca })
    local late_certificate, late_key = ours:sign("late", "127.0.0.1", { days = -1 })
    local late <close> = nodes.start { args = ours:node_arguments("late", late_certificate, late_key) }
    assert_refused("tls", "certificate has expired", late, tls())
  end)

  it("says that the node refuses us for want of a certificate, or for a wrong one", function()
    local other_certificate, other_key = others:sign("stranger", "stranger")
    for _, to in ipairs { old, new } do
      assert_refused("tls", "no certificate was shown; give certfile and keyfile", to, { cacertfile = ours.ca })
      assert_refused("tls", "the node refused", to, tls { certfile = other_certificate, keyfile = other_key })
    end
  end)

  it("says that the cookie is wrong", function()
    assert_refused("auth", "refused our cookie", old, tls(), { cookie = "wrong" })
    assert_refused("auth", "refused our cookie", new, tls(), { cookie = "wrong" })
  end)

  it("tells a plain node from one that wants TLS", function()
    local before = process.now()
    assert_refused("timeout", "a node that does not speak TLS keeps silent", plain, tls(), { timeout = 500 })
    assert.truthy(process.now() - before < 500 + 1000 * process.patience)
    for _, to in ipairs { old, new } do
      local _, message, code = connect(to)
      assert.truthy(message:find "wants? TLS", message)
      -- OTP 23 hangs up without a word, so that this is only a guess.
      assert.truthy(code == "tls" or code == "protocol" and message:find "closed the connection", message)
    end
  end)

  it("checks certificates unless it is told not to in the exact word", function()
    assert_refused("tls", "there is no cacertfile", new, {})
    assert_refused("tls", "there is no cacertfile", new, { certfile = certificate, keyfile = key })
    local careless = ours:optfile("careless", { client = { "{verify, verify_none}", ("{certfile, %q}"):format(certificate),
      ("{keyfile, %q}"):format(key) } })
    assert_refused("tls", "there is no cacertfile", new, { optfile = careless })
    for _, word in ipairs { "verify_none", "None", "", "no" } do
      assert.has_error(function() connect(new, tls { verify = word }) end,
        ("the option tls.verify is \"peer\" or \"none\", not %q"):format(word))
    end
    assert.has_error(function() connect(new, { verify = false }) end, "the option tls.verify is a string")
    assert_refused("tls", "no CA in cacertfile", new, tls { cacertfile = others.ca, verify = "peer" })
    local node <close> = assert(connect(new, { optfile = careless, verify = "none" }))
    assert_talks(node)
  end)

  it("names the file that cannot be used", function()
    local secret_certificate, secret_key = ours:sign("secret", "operator", { password = "sesame" })
    assert_refused("tls", "cacertfile /nowhere/ca.pem cannot be used: No such file", new, tls { cacertfile = "/nowhere/ca.pem" })
    assert_refused("tls", "certfile " .. key .. " cannot be used", new, tls { certfile = key })
    assert_refused("tls", "keyfile " .. secret_key .. " cannot be used", new, tls { keyfile = secret_key })
    assert_refused("tls", "keyfile " .. secret_key .. " cannot be used", new,
      tls { certfile = secret_certificate, keyfile = secret_key })
    assert_refused("tls", "keyfile " .. secret_key .. " cannot be used", new,
      tls { certfile = secret_certificate, keyfile = secret_key, password = "wrong" })
    local node <close> = assert(connect(new, tls { certfile = secret_certificate, keyfile = secret_key, password = "sesame" }))
    assert_talks(node)
    assert_refused("tls", "ssl_dist_optfile cannot be used", new, { optfile = "/nowhere/ssl.conf" })
  end)

  it("wants key and optfile to be nobody else's", function()
    local our_certificate, our_key = ours:sign("seen", "operator")
    for _, mode in ipairs { "644", "640", "602" } do
      assert(os.execute(("chmod %s %s"):format(mode, our_key)))
      assert_refused("tls", "chmod 600", new, tls { certfile = our_certificate, keyfile = our_key })
    end
    local path = ours:optfile("shared", { client = { ("{cacertfile, %q}"):format(ours.ca) } })
    assert(os.execute("chmod 666 " .. path))
    assert_refused("tls", "chmod 600", new, { optfile = path })
    if process.output "id -u" ~= "0\n" then return end -- only root can give a file away
    assert(os.execute(("chmod 600 %s; chown 12345 %s"):format(our_key, our_key)))
    assert_refused("tls", "belongs to another user (12345)", new, tls { certfile = our_certificate, keyfile = our_key })
  end)

  it("refuses a name that any host, or any below a domain, would have", function()
    assert_refused("tls", "the server_name is empty", new, tls { server_name = "" })
    assert_refused("tls", "begins with a dot", new, tls { server_name = ".example" })
  end)

  it("reports a node that is killed as down, and opens the connection again", function()
    local again = { name = "edr_again", args = ours:node_arguments("again", ours:sign("again", "127.0.0.1")) }
    local mortal = nodes.start(again)
    local node <close> = assert(connect(mortal, tls()))
    assert.truthy(mortal:signal "KILL")
    local _, message, code = node:sleep(3000)
    assert.equal("nodedown", code, message)
    assert.is_false(node:is_open())
    assert.equal("nodedown", select(3, node:call("erlang", "node")))
    mortal:stop()
    assert.equal("nodedown", select(3, node:reconnect()))
    local other <close> = nodes.start { args = again.args, cookie = mortal.cookie }
    node.options.node = other.name -- as the same node would come back
    assert.truthy(node:reconnect(3000))
    assert.equal(atom(other.name), node:call("erlang", "node"))
  end)
end)
