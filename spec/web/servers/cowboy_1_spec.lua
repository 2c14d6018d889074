local servers = require "support.servers"
local shared = require "support.shared"
local web = require "edeliver.relup.web"
local live = require "support.live"

describe("web.cowboy_1", function()
  local port
  local chat = shared(servers.start)
  setup(function() port = chat:serve "booth" end)

  local function site() return assert(web.find(chat.node, "booth", {})) end

  local function context(config) return chat:context(config, "booth") end

  it("finds websockets by ranch's books, and channels by their links", function()
    local joined <close> = chat:open(port, 5, "upgrade", "join") -- luacheck: ignore
    local bare <close> = chat:open(port, 2, "upgrade") -- luacheck: ignore
    local http <close> = chat:open(port, 3, "get 0") -- luacheck: ignore
    local found = assert(site():connections())
    assert.same({ 5, 5, 2, 3 }, { #found.websockets, #found.channels, #found.idle, #found.http })
    assert.equal(2, #assert(site():new_targets("channels", chat.node:pids { found.channels[1], found.channels[2],
      found.channels[3] })))
    assert.is_nil(site():missing_connections())
  end)

  it("can suspend channels alone, and says so before anything is touched", function()
    local target, message, code = site():target()
    assert.is_nil(target)
    assert.equal("not_supported", code)
    assert.matches('config.target = "channels"', message, 1, true)
    assert.equal("channels", site():target "auto")
    target, message = chat:run("check_ranch_connections", context {})
    assert.is_nil(target)
    assert.matches("answer no sys messages", message)
  end)

  it("suspends n of n channels and resumes them; events wait", function()
    local sockets <close> = chat:open(port, 6, "upgrade", "join")
    local ctx = context { target = "auto" }
    assert.equal("6 channels suspended", chat:run("suspend_channels", ctx))
    assert.equal(0, sockets:ping(100))
    assert.equal("6 processes resumed", chat:run("resume_channels", ctx))
    assert.equal(6, sockets:ping(2000))
  end)

  it("passes over those that a websocket is linked to on another node", function()
    local sockets <close> = chat:open(port, 2, "upgrade", "join") -- luacheck: ignore
    local pids = {}
    for i, pid in assert(site():connections()).websockets:iter() do pids[i] = pid end
    assert.equal(2, #pids)
    local other <close> = chat:linked_from_elsewhere(pids) -- luacheck: ignore
    assert.equal(2, #assert(site():connections()).channels)
  end)

  it("takes a poll that waits for no running request", function()
    assert(chat.release:eval(("spawn(fun() -> kiosk_clients:open(%d, 1, [\"poll 3000\"]) end)"):format(port)))
    live.eventually(function() return chat:polls() == 1 end)
    assert.equal(0, #assert(site():requests()))
    assert.equal(1, chat:polls())
  end)

  it("sees the requests that run, in the connections themselves", function()
    local idle <close> = chat:open(port, 2, "get 0") -- luacheck: ignore
    assert.equal(0, #assert(site():requests()))
    assert(chat.release:eval(("spawn(fun() -> kiosk_clients:open(%d, 1, [\"get 400\"]) end)"):format(port)))
    live.eventually(function() return #assert(site():requests()) == 1 end)
    live.eventually(function() return #assert(site():requests()) == 0 end)
  end)
end)
