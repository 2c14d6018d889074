-- What can be known before the first stop is refused there, by a dry run as by a real one, in the same words: relups, restarts,
-- and who is in the way of release_handler's walk. On real releases, with sockets open.

local refusals = require "support.refusals"
local shared = require "support.shared"
local term = require "edeliver.relup.term"

local atom = term.atom

describe("before an install", function()
  local scene = shared(refusals.start, { next = { "2.0.0", "2.1.0" } })

  -- In 2.1.0, the release handler suspends processes, and so walks the supervision trees.
  local function unpack_both()
    for _, version in ipairs { "2.0.0", "2.1.0" } do
      if not scene.release:releases()[version] then
        assert(scene.release:eval(('{ok, _} = release_handler:unpack_release("chat-%s")'):format(version)))
      end
    end
  end

  describe("the relup", function()
    local kept

    before_each(function()
      unpack_both()
      kept = scene:read "releases/2.0.0/relup"
    end)
    after_each(function() scene:write("releases/2.0.0/relup", kept) end)

    it("has to be there", function()
      scene:shell "rm releases/2.0.0/relup"
      local message, code = scene:refused "2.0.0"
      assert.equal("no_matching_relup", code)
      assert.matches("leads from 1.0.0 to 2.0.0: releases/2.0.0/relup is not there, and releases/1.0.0/relup is not there",
        message, 1, true)
    end)

    it("has to lead from the version that runs", function()
      scene:write("releases/2.0.0/relup", '{"2.0.0",[{"0.8.0",[],[]},{"0.9.0",[],[]}],[]}.')
      local message, code = scene:refused "2.0.0"
      assert.equal("no_matching_relup", code)
      assert.matches("releases/2.0.0/relup leads up from 0.8.0, 0.9.0, and", message, 1, true)
    end)

    it("has to be one", function()
      for text, problem in pairs {
        ["{\"2.0.0\""] = "is not right: line 1",
        ["{\"2.0.1\",[],[]}."] = 'is not right: it is the relup of version "2.0.1"',
      } do
        scene:write("releases/2.0.0/relup", text)
        local message, code = scene:refused "2.0.0"
        assert.equal("bad_relup", code)
        assert.matches(problem, message, 1, true)
      end
    end)

    it("must not restart the emulator, unless that is asked for in so many words", function()
      for _, restart in ipairs { "restart_new_emulator", "restart_emulator" } do
        scene:write("releases/2.0.0/relup", ('{"2.0.0",[{"1.0.0",[],[%s]}],[]}.'):format(restart))
        local message, code = scene:refused "2.0.0"
        assert.equal("restart", code)
        assert.matches(("restarts the emulator of %s (%s): every connection is lost"):format(scene.node.name, restart), message,
          1, true)
        assert.matches("--restart-emulator", message, 1, true)
        message, code = scene:refused("2.0.0", { restart_emulator = true })
        assert.equal("no_heart", code)
        assert.matches("release_handler leaves that to heart, which does not run on " .. scene.node.name, message, 1, true)
      end
    end)
  end)

  describe("the supervision trees", function()
    before_each(unpack_both)

    local function start_child(type, modules)
      assert(scene.release:eval(([[{ok, _} = supervisor:start_child('Elixir.Chat.Supervisor',
        #{id => misfit, start => {chat_misfit, start_link, []}, type => %s, modules => %s, restart => temporary}), ok]])
        :format(type, modules)))
    end

    local function end_child()
      scene.release:eval "supervisor:terminate_child('Elixir.Chat.Supervisor', misfit)"
    end

    it("are walked, and nobody is hurt", function()
      local before = scene.node:call("erlang", "whereis", { atom "chat_counter" })
      local report, message, _, lines = scene:run("2.1.0", nil, { dry_run = true, target = "channels" })
      assert.is_truthy(report, message)
      assert.matches("%d+ supervisors will answer release_handler", lines)
      assert.equal(before, scene.node:call("erlang", "whereis", { atom "chat_counter" }))
    end)

    it("must have no child that is typed supervisor and is none", function()
      finally(end_child)
      start_child("supervisor", "[chat_misfit]")
      local message, code = scene:refused "2.1.0"
      assert.equal("in_the_way", code)
      assert.matches("because of 1 process in its way: <[%d.]+> %(of chat, child misfit of <[%d.]+>, started as chat_misfit%) "
        .. "is no supervisor, but its child spec says type supervisor", message)
      -- Where nothing is suspended, release_handler walks no trees.
      local kept = scene:read "releases/2.0.0/relup"
      scene:write("releases/2.0.0/relup", '{"2.0.0",[{"1.0.0",[],[point_of_no_return]}],[]}.')
      local report, problem = scene:run("2.0.0", nil, { dry_run = true })
      scene:write("releases/2.0.0/relup", kept)
      assert.is_truthy(report, problem)
    end)

    it("must have no dynamic child that is no event manager", function()
      finally(end_child)
      start_child("worker", "dynamic")
      local message, code = scene:refused "2.1.0"
      assert.equal("in_the_way", code)
      assert.matches("child misfit of .* does not answer get_modules", message)
    end)

    it("must have supervisors as roots", function()
      finally(function() scene.release:eval "application:stop(misfit), application:unload(misfit)" end)
      assert(scene.release:eval [[ok = application:load({application, misfit, [{mod, {chat_misfit, []}}, {vsn, "1"}]}),
        ok = application:start(misfit)]])
      local message, code = scene:refused "2.1.0"
      assert.equal("in_the_way", code)
      assert.matches("%(of misfit, started as chat_misfit%) is the root of an application and is no supervisor", message)
    end)

    it("must have no suspended supervisor", function()
      finally(function() scene.release:eval "sys:resume('Elixir.Chat.Supervisor')" end)
      assert(scene.release:eval "sys:suspend('Elixir.Chat.Supervisor')")
      local message, code = scene:refused "2.1.0"
      assert.equal("in_the_way", code)
      assert.matches("Elixir.Chat.Supervisor <[%d.]+> %(of chat, started as supervisor%) is a supervisor that is suspended",
        message)
    end)

    it("must have supervisors that answer", function()
      local holder <close> = scene:hold { scene.node:call("erlang", "whereis", { atom "Elixir.Chat.Supervisor" }) }
      local report, message = scene:run("2.1.0", nil, { dry_run = true })
      assert.is_nil(report)
      assert.matches("is a supervisor that did not answer for 5 s", message, 1, true)
      assert.is_truthy(holder)
    end)
  end)
end)
