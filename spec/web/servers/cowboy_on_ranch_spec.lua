local cowboy_on_ranch = require "edeliver.relup.web.servers.cowboy_on_ranch"
local shared = require "support.shared"
local term = require "edeliver.relup.term"
local live = require "support.live"
local chat_release = require "support.chat"

for _, version in ipairs { 2, 1 } do
  describe("web.cowboy_on_ranch on ranch " .. version, function()
    if not chat_release.available(version) then
      pending("needs ranch " .. version .. ": see tools/erlang-libs")
      return
    end
    local chat = shared(live.start, { ranch = version })

    local function find(name, config) return cowboy_on_ranch.find(chat.node, name, config) end

    it("finds the listeners below the application's Phoenix endpoint", function()
      local site = assert(find("chat", {}))
      assert.equal(1, #site.listeners)
      assert.equal(chat.ports.endpoint, site.listeners[1].port)
      assert.same({ term.atom "Elixir.Chat.Endpoint" }, site.endpoints)
      assert.equal(("the Phoenix endpoint 'Elixir.Chat.Endpoint': 'Elixir.Chat.Endpoint.HTTP' (port %d)"):format(
        chat.ports.endpoint), tostring(site))
    end)

    it("finds a plain listener by its port, and by its ref", function()
      local refs = { { port = chat.ports.plain }, { listener = "chat_plain" }, { listener = term.atom "chat_plain" } }
      for _, config in ipairs(refs) do
        local site = assert(find("chat", config))
        assert.equal(1, #site.listeners)
        assert.equal("chat_plain", site.listeners[1].ref.name)
        assert.is_nil(site.endpoints)
        assert.is_true(site.listeners[1].typed_supervisor)
      end
    end)

    it("knows an endpoint's listener for what it is, also when it is picked by its port", function()
      assert.same({ term.atom "Elixir.Chat.Endpoint" }, assert(find("chat", { port = chat.ports.endpoint })).endpoints)
    end)

    it("guesses nothing: an application without endpoint has no site, a wrong port neither", function()
      local site, message, code = find("kernel", {})
      assert.is_nil(site)
      assert.equal("not_detected", code)
      assert.matches("no Phoenix endpoint of kernel on ", message)
      assert.matches(("chat_plain (port %d)"):format(chat.ports.plain), message, 1, true)
      site, message, code = find("chat", { port = 1 })
      assert.is_nil(site)
      assert.equal("not_detected", code)
      assert.matches("no ranch listener on port 1", message)
      site, message = find("chat", { listener = "other" })
      assert.is_nil(site)
      assert.matches("no ranch listener with the ref other", message)
    end)
  end)
end

describe("web.cowboy_on_ranch over TLS", function()
  it("finds n of n websockets, suspends n of n, and resumes them", function()
    local chat <close> = require("support.servers").start()
    local port = tonumber(chat.release:eval "kiosk_clients:tls_listener(chat_tls)")
    local sockets <close> = chat:open_tls(port, 4) -- luacheck: ignore
    local site = assert(cowboy_on_ranch.find(chat.node, "chat", { port = port }))
    assert.equal("cowboy_tls", site.listeners[1].protocol)
    assert.is_nil(site:missing_connections())
    local found = assert(site:connections())
    assert.same({ 4, 0 }, { #found.websockets, #found.http })
    local ctx = chat:context { port = port }
    assert.equal("4 websockets suspended", chat:run("suspend_channels", ctx))
    assert.equal("4 processes resumed", chat:run("resume_channels", ctx))
    assert.equal(0, #assert(site:requests()))
  end)
end)
