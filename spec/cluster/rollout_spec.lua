-- Rollouts on clusters of real releases with open sockets, whose nodes are connected to each other.

local chat = require "support.chat"
local clients = require "support.clients"
local process = require "support.process"
local program = require "cli.program"
local relup = require "edeliver.relup"
local term = require "edeliver.relup.term"

local SOCKETS = 10

-- A cluster with sockets at each node; `versions` of those that have other tarballs; `args` of each emulator.
local function start(size, versions, args)
  local self = { nodes = {}, sockets = {} }
  local cookie = ("cluster%d"):format(math.random(1 << 40))
  for i = 1, size do
    self.nodes[i] = chat.start { cookie = cookie, next = versions and versions[i] or { "2.0.0" }, args = args }
    self.sockets[i] = clients.open { port = self.nodes[i].ports.endpoint, count = SOCKETS, interval = 50 }
  end
  for i = 2, size do
    for k = 1, i - 1 do assert.equal("true", self.nodes[i]:eval(("net_kernel:connect_node('%s')"):format(self.nodes[k].name))) end
  end
  return setmetatable(self, { __close = function()
    for _, sockets in ipairs(self.sockets) do sockets:stop() end
    for _, node in ipairs(self.nodes) do node:stop() end
  end })
end

local function list(cluster)
  local nodes = {}
  for i, node in ipairs(cluster.nodes) do nodes[i] = { name = node.name, epmd_port = node.epmd_port, cookie = node.cookie } end
  return nodes
end

-- A rollout of 2.0.0, with what happened, in order.
local function roll(cluster, config)
  local events = {}
  local on_event = config.on_event
  for name, value in pairs { nodes = list(cluster), version = config.version or "2.0.0", min_healthy_time = 0 } do
    if config[name] == nil then config[name] = value end
  end
  config.on_event = function(event, self)
    events[#events + 1] = event
    if on_event then on_event(event, self) end
  end
  local report, message, failed = relup.rollout(config)
  return report, message, failed, events
end

-- The program, rolling 2.0.0 out to them: its process, its words, its environment, and the folder of its journals.
local function start_program(cluster, ...)
  local folder, first = process.temporary_folder(), cluster.nodes[1]
  local env = { XDG_STATE_HOME = folder, EDELIVER_RELUP_COOKIE = first.cookie, ERL_EPMD_PORT = tostring(first.epmd_port) }
  local words = { "rollout", "--to", "2.0.0", "--json-lines", ... }
  for _, node in ipairs(cluster.nodes) do table.move({ "--node", node.name }, 1, 2, #words + 1, words) end
  return process.start { command = { "sh", "-c", program.command(words, { env = env }) } }, words, env, folder
end

local function states(report)
  local found = {}
  for i, node in ipairs(report.nodes) do found[i] = node.state end
  return table.concat(found, " ")
end

local function versions(cluster)
  local found = {}
  for i, node in ipairs(cluster.nodes) do found[i] = node:alive() and node:version() or "dead" end
  return table.concat(found, " ")
end

-- Every socket of every node that lives is still open, was answered, and nobody is suspended.
local function all_well(cluster)
  process.sleep(300)
  for i, node in ipairs(cluster.nodes) do
    if node:alive() then
      local stats = cluster.sockets[i]:drain()
      assert.same({ SOCKETS, 0, 0, 0 }, { stats.open, stats.reconnects, stats.lost, stats.pending }, node.name)
      assert.equal(0, node:suspended(), node.name)
      assert.equal("undefined", node:eval "whereis(edeliver_relup_rollout)")
    end
  end
end

-- At most how many nodes were upgraded at the same time.
local function most_at_once(events)
  local active, count, most = {}, 0, 0
  for _, event in ipairs(events) do
    if event.event == "state" then
      local now = event.state == "running" or event.state == "watching"
      if now and not active[event.node] then count = count + 1 elseif not now and active[event.node] then count = count - 1 end
      active[event.node] = now or nil
      most = math.max(most, count)
    end
  end
  return most
end

describe("a rollout", function()
  it("plans, upgrades canary and batches, is passed over where it was done, and goes back together", function()
    local cluster <close> = start(5)
    local plan = assert(roll(cluster, { plan_only = true }))
    assert.equal("planned planned planned planned planned", states(plan):gsub("skipped", "planned"))
    assert.equal("1.0.0 1.0.0 1.0.0 1.0.0 1.0.0", versions(cluster))

    local report, message, _, events = roll(cluster, { canary = 1, max_parallel = 2 })
    assert(report, message)
    assert.equal("done done done done done", states(report))
    assert.equal("2.0.0 2.0.0 2.0.0 2.0.0 2.0.0", versions(cluster))
    assert.equal(2, most_at_once(events))
    for _, node in ipairs(report.nodes) do assert.equal(SOCKETS, node.suspended) end

    local again = assert(roll(cluster, {}))
    assert.equal("already already already already already", states(again))

    local back, problem = roll(cluster, { version = "1.0.0", together = true })
    assert(back, problem)
    assert.equal("done done done done done", states(back))
    assert.equal("1.0.0 1.0.0 1.0.0 1.0.0 1.0.0", versions(cluster))
    -- By the nodes' own clocks: no less than nothing, and no more than the whole took.
    assert.is_true(back.skew_ms > 0 and back.skew_ms < back.ms, tostring(back.skew_ms))
    assert.is_true(back.skew_within_ms > 0, tostring(back.skew_within_ms))
    all_well(cluster)
  end)

  it("reverts a canary that is not healthy", function()
    local cluster <close> = start(3)
    local report, message, failed = roll(cluster, {
      canary = 1, auto_revert = true, healthy_deadline = 1500, healthy = "test \"$NODE\" != " .. cluster.nodes[1].name,
    })
    assert.is_nil(report)
    assert.equal("reverted skipped skipped", states(failed))
    assert.matches("The rollout went back", message, 1, true)
    assert.equal("1.0.0 1.0.0 1.0.0", versions(cluster))
    all_well(cluster)

    -- The same by a function on the node, and by one of the operator's own.
    local _, why = roll(cluster, { auto_revert = true, healthy_deadline = 1500,
      healthy = { "erlang", "hd", term.list { term.atom "poorly", "well" } } })
    assert.matches("erlang:hd says poorly", why, 1, true)
    -- A command that never ends does not hold the rollout up.
    _, why = roll(cluster, { auto_revert = true, healthy_deadline = 1500, healthy = "sleep 600" })
    assert.matches("its health was still being looked at after 2 s", why, 1, true)
    local asked = {}
    local fine = assert(roll(cluster, { healthy = function(node)
      asked[#asked + 1] = node.name
      return node:call("erlang", "is_alive") == true
    end }))
    assert.equal("done done done", states(fine))
    assert.is_true(#asked >= 3)
    all_well(cluster)
  end)

  it("is told from elsewhere to pause and to continue, and is held by one alone", function()
    local cluster <close> = start(3)
    local running <close>, _, env, folder = start_program(cluster, "--min-healthy-time", "1", "--healthy", "erlang hd [[ok]]")
    assert(process.wait_until(function() return running:printed():find('"running"', 1, true) end, 60000), running:printed())
    local paused = program.run("rollout pause", { env = env })
    assert.equal(0, paused.code, paused.err)
    assert(process.wait_until(function() return running:printed():find('"done"', 1, true) end, 60000), running:printed())
    process.sleep(500)
    local _, begun = running:printed():gsub('"state":"running"', "")
    assert.equal(1, begun)

    local _, message, failed = roll(cluster, {})
    assert.equal("busy", failed.code)
    assert.matches("Another rollout has " .. cluster.nodes[1].name, message, 1, true)

    local status = program.json("rollout status", { env = env })
    assert.equal("active", status.json.result.ending)
    assert.equal(0, program.run("rollout continue", { env = env }).code)
    assert(process.wait_until(function() return running:exited() end, 60000), running:printed())
    assert.equal("2.0.0 2.0.0 2.0.0", versions(cluster))
    assert.equal("done", program.json("rollout status", { env = env }).json.result.ending)
    local late = program.run("rollout revert", { env = env })
    assert.equal(1, late.code)
    assert.matches("has ended. `edeliver-relup NODE rollback` takes one node back", late.err, 1, true)
    all_well(cluster)
    process.remove_folder(folder)
  end)

  it("begins no new node after Ctrl-C, and after another is left to its workers", function()
    local cluster <close> = start(2)
    -- What is healthy is never asked: the first node is watched until we leave.
    local running <close>, _, env, folder = start_program(cluster, "--min-healthy-time", "600")
    assert(process.wait_until(function() return running:printed():find('"watching"', 1, true) end, 60000), running:printed())
    running:signal "INT"
    assert(process.wait_until(function() return running:printed():find("no new node begins", 1, true) end), running:printed())
    assert.equal("active", program.json("rollout status", { env = env }).json.result.ending)
    assert.is_falsy(running:exited())
    running:signal "INT"
    assert(process.wait_until(function() return running:exited() end, 30000), running:printed())
    assert.matches("You left the rollout", running:printed(), 1, true)
    assert.equal("left", program.json("rollout status", { env = env }).json.result.ending)
    assert(process.wait_until(function() return cluster.nodes[1]:eval "whereis(edeliver_relup_rollout)" == "undefined" end))
    assert.equal("2.0.0 1.0.0", versions(cluster))
    all_well(cluster)
    process.remove_folder(folder)
  end)

  it("goes on where its program was killed, when the same command is given again", function()
    local cluster <close> = start(3)
    local pages = process.temporary_folder()
    local page = pages .. "/rollout.html"
    local running <close>, words, env, folder = start_program(cluster, "--min-healthy-time", "0", "--report", page)
    assert(process.wait_until(function() return running:printed():find('"suspend_channels"', 1, true) end, 60000))
    running:signal "KILL"
    -- Who was in the middle of it ends well, by the worker that outlives its parent.
    assert(process.wait_until(function()
      return cluster.nodes[1]:version() == "2.0.0" and cluster.nodes[1]:eval "whereis(edeliver_relup_rollout)" == "undefined"
    end, 60000))
    local shown = program.run(table.concat(words, " "), { env = env })
    assert.equal(0, shown.code, shown.err)
    assert.matches('"already"', shown.out, 1, true)
    local text = assert(process.read_file(page))
    for _, node in ipairs(cluster.nodes) do assert.matches("<td>" .. node.name .. "</td>", text, 1, true) end
    assert.matches("Rollout of 2.0.0 <span class=\"ok\">done</span>", text, 1, true)
    assert.equal("2.0.0 2.0.0 2.0.0", versions(cluster))
    all_well(cluster)
    process.remove_folder(folder)
    process.remove_folder(pages)
  end)

  it("says that a node is lost, and others go back", function()
    local cluster <close> = start(3)
    local killed
    local report, _, failed = roll(cluster, { auto_revert = true, min_healthy_time = 500, on_event = function(event)
      if event.event == "step" and event.step == "suspend_channels" and event.node == cluster.nodes[2].name and not killed then
        killed = true
        cluster.nodes[2]:signal "KILL"
      end
    end })
    assert.is_nil(report)
    assert.equal("reverted lost skipped", states(failed))
    assert.equal("1.0.0 dead 1.0.0", versions(cluster))
    all_well(cluster)
  end)

  it("is refused where a node does not see the others", function()
    -- Else global, which hears of a lost connection from a third, may part the others, too, and each would be alone.
    local cluster <close> = start(3, nil, { "-kernel", "prevent_overlapping_partitions", "false" })
    local lonely = cluster.nodes[3]
    lonely:eval "application:set_env(kernel, dist_auto_connect, never), [erlang:disconnect_node(N) || N <- nodes()]"
    assert.truthy(process.wait_until(function()
      return cluster.nodes[1]:eval "length(nodes())" == "1" and cluster.nodes[2]:eval "length(nodes())" == "1"
    end))
    local report, message, failed = roll(cluster, {})
    assert.is_nil(report)
    assert.equal("partition", failed.code)
    assert.matches("may be partitioned", message, 1, true)
    all_well(cluster)
  end)

  it("together: none swaps where one cannot be prepared, all go back where one fails in the swap", function()
    local cluster <close> = start(3, { [3] = {} })
    local report, _, failed = roll(cluster, { together = true })
    assert.is_nil(report)
    assert.equal("1.0.0 1.0.0 1.0.0", versions(cluster))
    assert.equal("failed failed failed", states(failed))
    all_well(cluster)
    assert(os.execute(("cp %s/chat-2.0.0.tar.gz %s/releases"):format(chat.built(), cluster.nodes[3].root)))

    -- It answers nobody for longer than the swap waits.
    local silenced
    local _, message, went_back = roll(cluster, { together = true, engine = "swap", on_event = function(event)
      if event.event == "step" and event.step == "swap" and event.node == cluster.nodes[2].name and not silenced then
        silenced = true
        cluster.nodes[2]:eval "Late = fun(S) -> timer:sleep(12000), S end,\
          spawn(fun() -> sys:replace_state(chat_counter, Late, infinity) end), ok"
      end
    end })
    assert.equal("reverted failed reverted", states(went_back), message)
    assert.equal("1.0.0 1.0.0 1.0.0", versions(cluster))
    all_well(cluster)
  end)

  it("refuses what makes no sense", function()
    for field, value in pairs { canary = -1, max_parallel = "many", nonsense = true, nodes = {}, min_healthy_time = "long" } do
      local config = { nodes = { "a@h" }, version = "1" }
      config[field] = value
      assert.has_error(function() relup.rollout(config) end)
    end
    assert.has_error(function() relup.rollout { nodes = { "a@h", "a@h" }, version = "1" } end, "rollout: a@h is named twice")
    local shown = program.run "rollout"
    assert.equal(64, shown.code)
    local nobody = program.run "rollout --to 1.0.0"
    assert.matches("Which nodes?", nobody.err, 1, true)
  end)
end)
