local clients = require "support.clients"
local live = require "support.live"
local relup = require "edeliver.relup"
local shared = require "support.shared"
local watch = require "edeliver.relup.step.watch"

describe("step.watch", function()
  local chat = shared(live.start)

  -- Messages that wait for every websocket.
  local function pester(pids, count)
    for _, pid in pids:iter() do
      for _ = 1, count do assert(chat.node:send(pid, relup.term.atom "nothing")) end
    end
  end

  it("stops an upgrade whose suspended processes get too much mail, and resumes them", function()
    local sockets <close> = clients.open { port = chat.ports.endpoint, count = 5, interval = 60000 }
    local sequence = relup.sequence {
      "suspend_ranch_acceptors", "suspend_channels",
      { name = "pester", after = "suspend_channels", run = function(node) pester(assert(node:suspended()), 30) return true end },
      relup.install(), "resume_channels", "resume_ranch_acceptors",
    }
    local config = { name = "chat", version = "2.0.0", max_mailbox = 20, journal = false, log = function() end }
    local report, message, failed = sequence:run(chat.node, config)
    assert.is_nil(report)
    assert.equal("mailbox", failed.code)
    assert.matches("install failed: 5 of 5 suspended processes have more than 20 messages waiting, up to 30", message)
    assert.equal(0, #assert(chat.node:suspended()))
    assert.equal("1.0.0", chat.release:version())
    assert.equal(0, sockets:stats().reconnects)
  end)

  it("only warns once a relup has called, which cannot be stopped by then", function()
    local sockets <close> = clients.open { port = chat.ports.endpoint, count = 2, interval = 60000 } -- luacheck: ignore
    local ctx = chat:context { max_mailbox = 1 }
    ctx.place = "behind"
    chat:run("suspend_channels", ctx)
    pester(ctx:suspended(), 3)
    assert.is_true(watch.watch(chat.node, ctx))
    assert.matches("^warning: 2 of 2 suspended processes have more than 1 messages", ctx.lines[#ctx.lines])
    chat:settle(ctx)
  end)

  it("warns once, with numbers, when clients or servers are about to lose patience", function()
    local sockets <close> = clients.open { port = chat.ports.endpoint, count = 1, interval = 60000 } -- luacheck: ignore
    local ctx = chat:context()
    ctx.idle_timeout = 20
    assert.is_true(watch.watch(chat.node, ctx))
    chat:run("suspend_channels", ctx)
    assert(chat.node:sleep(40))
    assert.is_true(watch.watch(chat.node, ctx))
    assert.is_true(watch.watch(chat.node, ctx))
    local warnings = table.concat(ctx.lines, "\n")
    assert.matches("websockets have been suspended for 0%.%d s: phoenix.js gives up on a socket 30 to 60 s", warnings)
    assert.equal(1, select(2, warnings:gsub("have been suspended", "")))
    chat:settle(ctx)
  end)

  it("warns once when clients that connect are about to take to long polling, and not where they are accepted again", function()
    local ctx = chat:context()
    chat:run("suspend_ranch_acceptors", ctx)
    assert.is_true(watch.watch(chat.node, ctx))
    assert.equal(0, select(2, table.concat(ctx.lines, "\n"):gsub("long polling", "")))
    ctx.not_accepting_since = ctx.not_accepting_since - watch.FALLBACK -- as if so much time had passed
    assert(chat.node:sleep(5))
    assert.is_true(watch.watch(chat.node, ctx))
    assert.is_true(watch.watch(chat.node, ctx))
    local _, warnings = table.concat(ctx.lines, "\n"):gsub("no new connection has been accepted for 2%.%d s", "")
    assert.equal(1, warnings)
    chat:run("resume_ranch_acceptors", ctx)
    assert.is_nil(ctx.not_accepting_since)
  end)
end)
