-- check, upgrade and downgrade, as at a shell, against the real release handler, with sockets open all the time.

local program = require "cli.program"
local chat = require "support.chat"
local clients = require "support.clients"
local live = require "support.live"
local servers = require "support.servers"

local function with_release(versions, body)
  local release <close> = chat.start { next = versions }
  local sockets <close> = clients.open { port = release.ports.endpoint, count = 10, interval = 50 }
  body(release, sockets)
end

-- The names of the steps that ended in some way.
local function steps(report, status)
  local names = {}
  for _, step in ipairs(report.steps) do
    if step.status == status then names[#names + 1] = step.name end
  end
  return names
end

local STEPS = {
  "install (prepare)", "check_processes_running_old_code", "check_ranch_acceptors", "check_ranch_connections",
  "suspend_ranch_acceptors", "suspend_channels", "finish_running_requests", "install", "rerun_failed_requests",
  "resume_channels", "resume_ranch_acceptors",
}

describe("edeliver-relup NODE upgrade", function()
  it("upgrades and goes back, with every socket kept, and tells about it", function()
    with_release({ "2.0.0" }, function(release, sockets)
      local shown = program.run("NODE upgrade 2.0.0", { node = release })
      assert.equal(0, shown.code, shown.err)
      assert.equal("", shown.err)
      local at = 1
      for _, name in ipairs(STEPS) do
        at = assert(shown.out:find(name .. " done in ", at, true), name .. " is missing, or too early:\n" .. shown.out)
      end
      assert.matches("10 websockets suspended", shown.out, 1, true)
      assert.matches("\nchat on " .. release.name .. " to 2.0.0: done\n", shown.out, 1, true)
      assert.matches("each paused for [%d.]+ ms at most %(median [%d.]+ ms, p99 [%d.]+ ms%)", shown.out)
      assert.equal("current", release:releases()["2.0.0"])

      local back = program.json("NODE downgrade 1.0.0", { node = release })
      assert.equal(0, back.code, back.err)
      assert.same(STEPS, steps(back.json.result, "done"))
      local still = back.json.result.stood_still
      assert.is_true(still.p50 > 0 and still.p50 <= still.p99 and still.p99 <= still.max)
      assert.equal(10, back.json.result.suspended)
      assert.same({}, back.json.result.lost)

      sockets:check_kept(10, "1.0.0", "2.0.0")
      assert.equal(0, release:suspended())
    end)
  end)

  it("makes the release permanent where that is asked, and runs inside the relup where that is", function()
    with_release({ "2.1.0" }, function(release, sockets)
      local shown = program.json("NODE upgrade 2.1.0 --in-relup", { node = release })
      assert.equal(0, shown.code, shown.err)
      assert.equal(10, shown.json.result.suspended)
      assert.equal("current", release:releases()["2.1.0"])
      assert.equal(0, program.run("NODE downgrade 1.0.0", { node = release }).code)
      local permanent = program.run("NODE upgrade 2.1.0 --permanent", { node = release })
      assert.equal(0, permanent.code, permanent.err)
      assert.equal("permanent", release:releases()["2.1.0"])
      assert.equal(0, sockets:drain().reconnects)
    end)
  end)

  it("suspends nothing on a node without any server, and refuses one whose server it does not know", function()
    with_release({ "2.0.0" }, function(release)
      assert.equal("ok", release:eval [[
        application:stop(chat), [ranch:stop_listener(Ref) || Ref <- maps:keys(maps:from_list(maps:to_list(ranch:info())))], ok]])
      assert.equal("true", release:eval [[
        Me = self(),
        Listen = fun() -> {ok, Socket} = gen_tcp:listen(0, [{ip, {127,0,0,1}}]), Me ! ready, receive stop -> Socket end end,
        register(stranger, spawn(Listen)), receive ready -> true end]])
      local refused = program.json("NODE check 2.0.0", { node = release })
      assert.same({ 1, "not_running" }, { refused.code, refused.json.error.code })
      assert.matches("it listens on port %d+ %(stranger%)", refused.json.error.message)
      release:eval "stranger ! stop"
      live.eventually(function() return release:eval "whereis(stranger)" == "undefined" end)
      local shown = program.run("NODE upgrade 2.0.0", { node = release })
      assert.equal(0, shown.code, shown.err)
      assert.matches("has no web server: no websockets are suspended", shown.out, 1, true)
      assert.equal("current", release:releases()["2.0.0"])
    end)
  end)

  it("finds endpoints where the release's name is no application that runs, as an umbrella's is not", function()
    with_release({ "2.0.0" }, function(release)
      assert.equal("ok", release:eval "application:stop(chat)")
      local kiosk = servers.on(release)
      local sockets <close> = kiosk:open(kiosk:serve "kiosk", 3, "upgrade", "join") -- luacheck: ignore
      local checked = program.json("NODE check 2.0.0", { node = release })
      assert.equal(0, checked.code, checked.err)
      assert.equal(3, checked.json.result.would_suspend)
      local wrong = program.json("NODE check 2.0.0 --app chat", { node = release }).json.error
      assert.matches("there is 'Elixir.Kiosk.Endpoint' of kiosk: --app names", wrong.message, 1, true)
    end)
  end)

  it("calls options by their names in what it refuses", function()
    with_release({ "2.0.0" }, function(release)
      servers.on(release):serve "booth"
      local refused = program.json("NODE check 2.0.0 --app booth --target transports", { node = release })
      assert.equal(1, refused.code)
      assert.matches("--target channels suspends the channels", refused.json.error.message, 1, true)
      local all = program.json("NODE status", { node = release })
      assert.matches("Elixir.Chat.Endpoint.HTTP", all.json.result.site.listeners, 1, true)
      assert.matches("Elixir.Booth.Endpoint", all.json.result.site.listeners, 1, true)
      local auto = program.json("NODE check 2.0.0 --target auto --tolerate 0 --max-mailbox 1000 --grace 4000", { node = release })
      assert.equal(0, auto.code, auto.err)
      assert.equal(10, auto.json.result.would_suspend)
      local one = program.json("NODE status --app chat", { node = release })
      assert.is_nil(one.json.result.site.listeners:find("Booth", 1, true))
    end)
  end)

  it("suspends nothing where --no-sockets says so, which a node without listeners needs", function()
    with_release({ "2.0.0" }, function(release)
      local unknown = program.run("NODE upgrade 2.0.0 --port 1", { node = release })
      assert.equal(1, unknown.code)
      assert.matches("has no ranch listener on port 1", unknown.err, 1, true)
      assert.matches("--no-sockets suspends no websockets", unknown.err, 1, true)
      for _, command in ipairs { "check", "upgrade" } do
        local shown = program.json(("NODE %s 2.0.0 --port 1 --no-sockets"):format(command), { node = release })
        assert.equal(0, shown.code, shown.err)
        assert.equal(0, shown.json.result.suspended)
        assert.same(command == "upgrade" and { "install (prepare)", "check_processes_running_old_code", "install" }
          or { "install (prepare)", "check_processes_running_old_code" }, steps(shown.json.result, "done"))
      end
      assert.equal("current", release:releases()["2.0.0"])
    end)
  end)

  it("exits with 1, and has touched nothing, where a check refuses", function()
    with_release({ "2.0.1-early" }, function(release, sockets)
      local none = program.json("NODE upgrade 9.9.9", { node = release })
      assert.equal(1, none.code)
      assert.equal("no_such_release", none.json.error.code)
      local early = program.json("NODE upgrade 2.0.1-early", { node = release })
      assert.equal(1, early.code)
      assert.same({ "install (prepare)" }, steps(early.json.result, "failed"))
      assert.equal(0, early.json.result.suspended)
      local no_way_back = program.run("NODE downgrade 0.9.0", { node = release })
      assert.equal(1, no_way_back.code)
      assert.matches("has no release 0.9.0 to go back to", no_way_back.err, 1, true)
      local no_sockets = program.run("NODE upgrade 2.0.1-early --app kernel", { node = release })
      assert.equal(1, no_sockets.code)
      assert.equal(0, sockets:drain().reconnects)
    end)
  end)

  it("exits with 1, and has touched nothing, where its journal cannot be begun", function()
    with_release({ "2.0.0" }, function(release, sockets)
      for _, path in ipairs { release.folder .. "/none/run.jsonl", release.folder .. "/pid" } do
        local refused = program.json("NODE upgrade 2.0.0 --journal " .. path, { node = release })
        assert.same({ 1, "journal" }, { refused.code, refused.json.error.code }, refused.out)
      end
      assert.same({ ["1.0.0"] = "permanent" }, release:releases())
      assert.equal(0, sockets:drain().reconnects)
    end)
  end)

  it("exits with 4 where the install fails and the node restarts, and says why", function()
    with_release({ "2.0.1-late" }, function(release)
      local late = program.json("NODE upgrade 2.0.1-late", { node = release })
      assert.equal(4, late.code, late.out)
      assert.same({ "install" }, steps(late.json.result, "failed"))
      assert.matches("restarted while 2.0.1-late was installed, and runs 1.0.0 now", late.err, 1, true)
      assert.matches("chat_upgrade_fails", late.err, 1, true)
      assert.equal(0, release:suspended())
    end)
  end)

  it("exits with 3 where somebody cannot be resumed, and names them", function()
    with_release({ "2.0.0" }, function(release)
      -- One websocket that is busy for longer than anybody waits, from right after it was asked to suspend.
      assert(release:eval [[
        [Busy | _] = ranch:procs('Elixir.Chat.Endpoint.HTTP', connections),
        spawn(fun() ->
          Loop = fun Loop() ->
            case process_info(Busy, current_function) of
              {_, {sys, suspend_loop, 6}} -> erlang:suspend_process(Busy), timer:sleep(30000);
              _ -> timer:sleep(1), Loop()
            end
          end,
          Loop()
        end) ]])
      local left = program.json("NODE upgrade 2.0.0", { node = release })
      assert.equal(3, left.code, left.out)
      assert.equal(1, #left.json.result.still_suspended)
      local named = ("may still be suspended on %s: %s"):format(release.name, left.json.result.still_suspended[1])
      assert.matches(named, left.err, 1, true)
    end)
  end)
end)

describe("edeliver-relup NODE check", function()
  it("finds out what an upgrade would, and touches nothing", function()
    with_release({ "2.0.0" }, function(release, sockets)
      local in_tarball = program.json("NODE check 2.0.0", { node = release })
      assert.equal(0, in_tarball.code, in_tarball.err)
      assert.equal(10, in_tarball.json.result.would_suspend)
      assert.same({ ["1.0.0"] = "permanent" }, release:releases())
      release:eval '{ok, _} = release_handler:unpack_release("chat-2.0.0")'
      sockets:reset()
      local fine = program.json("NODE check 2.0.0", { node = release })
      assert.equal(0, fine.code, fine.err)
      assert.equal(10, fine.json.result.would_suspend)
      assert.same({ ["1.0.0"] = "permanent", ["2.0.0"] = "unpacked" }, release:releases())
      assert.equal(0, release:suspended())
      local stats = sockets:drain()
      assert.same({ 10, 0, 0 }, { stats.open, stats.reconnects, stats.lost })
    end)
  end)
end)
