-- What is taken from an ssl_dist_optfile, and what the caller may say instead. No connection is made.

local process = require "support.process"
local tls_options = require "edeliver.relup.node.tls_options"

describe("the options of TLS", function()
  local folder

  setup(function() folder = process.temporary_folder() end)
  teardown(function() process.remove_folder(folder) end)

  local function optfile(text)
    local path = folder .. "/ssl_dist.conf"
    local file = assert(io.open(path, "w"))
    file:write(text)
    file:close()
    assert(os.execute("chmod 600 " .. path))
    return path
  end

  it("are read from a file that is nobody else's", function()
    local path = optfile [=[[{client, [{certfile, "/c/cert.pem"}, {password, "p"}]}].]=]
    assert(tls_options.read(path))
    for _, mode in ipairs { "666", "644", "620" } do
      assert(os.execute(("chmod %s %s"):format(mode, path)))
      local options, message, code = tls_options.read(path)
      assert.same({ nil, "tls" }, { options, code })
      assert.truthy(message:find("chmod 600", 1, true), message)
    end
    local options, message, code = tls_options.read(folder)
    assert.same({ nil, "tls" }, { options, code })
    assert.truthy(message:find("not a plain file", 1, true), message)
  end)

  it("are the caller's, as they are", function()
    local given = { cacertfile = "ca.pem", certfile = "me.pem", keyfile = "me.key", password = "x", server_name = "web1",
      verify = "peer" }
    assert.same(given, tls_options.resolve(given))
    assert.same({}, tls_options.resolve {})
  end)

  it("come from the section for clients", function()
    local path = optfile [[
      %% as in the User's Guide of ssl
      [{server, [{certfile, "/s/cert.pem"}, {keyfile, "/s/key.pem"}, {cacertfile, "/s/ca.pem"}, {secure_renegotiate, true}]},
       {client, [{certfile, <<"/c/cert.pem">>}, {keyfile, "/c/key.pem"}, {password, "sesame"}, {cacertfile, "/c/ca.pem"},
                 {server_name_indication, "web1.example"}, {verify, verify_peer}, inet6,
                 {verify_fun, {inet_tls_dist, verify_server, []}}]}].]]
    assert.same({ certfile = "/c/cert.pem", keyfile = "/c/key.pem", password = "sesame", cacertfile = "/c/ca.pem",
      server_name = "web1.example" }, tls_options.resolve { optfile = path })
  end)

  it("come from the section for servers where that is all there is, with the key of the same section", function()
    local path = optfile [=[
      [{server, [{certfile, "/s/both.pem"}, {keyfile, "/s/key.pem"}, {cacertfile, "/s/ca.pem"}]}].]=]
    assert.same({ certfile = "/s/both.pem", keyfile = "/s/key.pem", cacertfile = "/s/ca.pem" }, tls_options.read(path))
    path = optfile [=[
      [{client, [{certfile, "/c/both.pem"}]}, {server, [{certfile, "/s/cert.pem"}, {keyfile, "/s/key.pem"}]}].]=]
    assert.same({ certfile = "/c/both.pem" }, tls_options.read(path))
    assert.same({}, tls_options.read(optfile "[{client, []}]."))
  end)

  it("are never careless because of a file", function()
    local path = optfile [=[
      [{client, [{verify, verify_none}, {server_name_indication, disable}, {cacertfile, "/c/ca.pem"}]}].]=]
    assert.same({ cacertfile = "/c/ca.pem" }, tls_options.resolve { optfile = path })
    assert.same({ cacertfile = "/c/ca.pem", verify = "none" }, tls_options.resolve { optfile = path, verify = "none" })
  end)

  it("of the caller count more than those of the file, and a certificate brings its own key", function()
    local path = optfile [=[
      [{client, [{certfile, "/c/cert.pem"}, {keyfile, "/c/key.pem"}, {password, "p"}, {cacertfile, "/c/ca.pem"}]}].]=]
    assert.same({ certfile = "mine.pem", cacertfile = "/c/ca.pem" },
      tls_options.resolve { optfile = path, certfile = "mine.pem" })
    assert.same({ certfile = "/c/cert.pem", keyfile = "/c/key.pem", password = "p", cacertfile = "ca.pem", server_name = "x" },
      tls_options.resolve { optfile = path, cacertfile = "ca.pem", server_name = "x" })
  end)

  it("are refused where the file is none", function()
    for text, says in pairs {
      ["[{client, [{certfile, \"x\"}]"] = "is not Erlang terms",
      ["{client, []}."] = "is no ssl_dist_optfile",
      ["[]."] = "is no ssl_dist_optfile",
      ["[{client, []}]. [{server, []}]."] = "is no ssl_dist_optfile",
      ["[{both, []}, client, 1]."] = "is no ssl_dist_optfile",
    } do
      local resolved, message, code = tls_options.resolve { optfile = optfile(text) }
      assert.is_nil(resolved)
      assert.equal("tls", code)
      assert.truthy(message:find(says, 1, true), message)
    end
    assert.equal("tls", select(3, tls_options.resolve { optfile = folder .. "/none" }))
    assert.equal("tls", select(3, tls_options.resolve { optfile = folder }))
  end)

  it("that are wrong raise", function()
    assert.has_error(function() tls_options.resolve(true) end, "the option tls is a table, like { cacertfile = \"ca.pem\" }")
    assert.has_error(function() tls_options.resolve { cacert = "x" } end, "tls has no option \"cacert\"")
    assert.has_error(function() tls_options.resolve { verify = true } end, "the option tls.verify is a string")
    assert.has_error(function() tls_options.resolve { verify = "None" } end,
      "the option tls.verify is \"peer\" or \"none\", not \"None\"")
  end)
end)
