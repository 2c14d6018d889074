-- A relup that restarts the emulator, where that is asked for: the node comes back by its heart, with the new release.

local refusals = require "support.refusals"

-- What heart starts: the release that the file names, as the node that was.
local START = [[#!/bin/sh
read -r _ version <"$1"
exec "$BINDIR/erlexec" -boot "$ROOTDIR/releases/$version/start" -mode embedded -config "$ROOTDIR/releases/$version/sys" \
  -name %s -setcookie %s -noshell -noinput -kernel inet_dist_use_interface '{127,0,0,1}' >/dev/null 2>&1 &
]]

describe("a relup that restarts the emulator", function()
  it("does so where that is asked for, and the run has not failed", function()
    local scene = refusals.start { args = { "-heart" }, env = { HEART_COMMAND = "true" } }
    finally(function()
      if scene.node:reconnect() then scene.node:cast("erlang", "halt", {}) end -- nobody else ends what heart has started
      scene:stop()
    end)
    assert(scene.release:eval '{ok, _} = release_handler:unpack_release("chat-2.0.0")')
    scene:write("releases/2.0.0/relup", '{"2.0.0",[{"1.0.0",[],[restart_emulator]}],[]}.')
    scene:shell "mkdir -p bin"
    scene:write("bin/start", START:format(scene.release.name, scene.release.cookie))
    scene:shell "chmod +x bin/start"
    local report, message = scene:run("2.0.0", { restart_emulator = true })
    assert.is_truthy(report, message)
    assert.equal("1.0.0 -> 2.0.0, in a new emulator: every connection was lost, as was asked for", report.steps[6].result)
    assert.equal('"2.0.0"', scene.release:eval "element(2, application:get_key(chat, vsn))")
    assert.equal(0, #scene.node:suspended())
  end)
end)
