local clients = require "support.clients"
local live = require "support.live"
local rerun = require "edeliver.relup.instructions.rerun_failed_requests"
local finish = require "edeliver.relup.instructions.finish_running_requests"
local shared = require "support.shared"

describe("rerun_failed_requests", function()
  local chat = shared(live.start)

  it("tells nobody where the run had nobody to tell", function()
    local ctx = chat:context()
    assert(chat:run("finish_running_requests", ctx))
    assert.equal("no running requests", chat:run("rerun_failed_requests", ctx))
  end)

  it("by hand, tells whoever runs now", function()
    local sockets <close> = clients.start()
    local waiting = sockets:get(chat.ports.endpoint, "/rerun?ms=60000")
    live.eventually(function()
      return #assert(require("edeliver.relup.web").find(chat.node, "chat")):requests() == 1
    end)
    assert.equal("0 requests ended, 1 still running", (live.by_hand(finish.run, chat.node, "chat")))
    assert.is_nil(sockets:body(waiting, 200))
    assert.equal("1 request told that the upgrade is over", (live.by_hand(rerun.run, chat.node, "chat")))
    assert.equal("200 1.0.0 rerun", sockets:body(waiting, 3000))
  end)
end)
