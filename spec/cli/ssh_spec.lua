-- A node that is reached by ssh: a real sshd on loopback carries epmd's answer and the connection.

local nodes = require "support.node"
local process = require "support.process"
local program = require "cli.program"
local ssh = require "support.ssh"

describe("--ssh", function()
  local server, node

  setup(function()
    if not ssh.is_there() then return end
    server, node = ssh.start(), nodes.start()
  end)
  teardown(function()
    if server then server:stop() end
    if node then node:stop() end
  end)

  local function with_ssh(name, body)
    it(name, function()
      if not server then return pending "needs openssh-server" end
      body()
      assert.is_truthy(process.wait_until(function() return server:have_all_ended() end, 20000), "an ssh is left")
    end)
  end

  local function run(line, env)
    env = env or {}
    env.EDELIVER_RELUP_SSH = env.EDELIVER_RELUP_SSH or server.program
    return program.run(line, { node = node, env = env })
  end

  -- Who waits on the node for nothing.
  local function sleepers()
    return tonumber(node:eval "length([P || P <- processes(), {_, {timer, sleep, 1}} <- [process_info(P, current_function)]])")
  end

  with_ssh("asks epmd and connects through the tunnel, and ends it", function()
    local before = #server:started()
    local shown = run "NODE call erlang node --ssh bastion --yes"
    assert.same({ 0, "" }, { shown.code, shown.err })
    assert.matches(node.name, shown.out, 1, true)
    assert.equal(before + 2, #server:started())
  end)

  with_ssh("takes the node's own port and carries much", function()
    local shown = run(("NODE call lists seq 1 200000 --ssh bastion --yes --dist-port %d"):format(node:dist_port()))
    assert.same({ 0, "" }, { shown.code, shown.err })
    assert.matches("200000", shown.out, 1, true)
  end)

  with_ssh("asks before it changes a node there, whatever its name", function()
    local refused = run "NODE suspend 0.0.0 --ssh bastion"
    assert.equal(1, refused.code)
    assert.matches("--yes confirms it", refused.err, 1, true)
  end)

  with_ssh("says what ssh complained of", function()
    local refused = run "NODE status --ssh locked"
    assert.equal(2, refused.code)
    assert.matches("ssh to locked did not get there: .*Permission denied", refused.err)
    local shown = run "NODE status --ssh no.such.host.invalid --json"
    assert.matches('"code":"ssh"', shown.out, 1, true)
    local none = run("NODE status --ssh bastion", { EDELIVER_RELUP_SSH = "/nonexistent/ssh" })
    assert.same({ 2, true }, { none.code, none.err:find("/nonexistent/ssh could not be started", 1, true) ~= nil })
    local silent = run("NODE status --ssh bastion", { EDELIVER_RELUP_SSH = "false" })
    assert.matches("it ended with exit code 1, and said nothing", silent.err, 1, true)
  end)

  with_ssh("says what cannot be reached from there", function()
    local no_epmd = run "NODE status --ssh bastion --epmd-port 1"
    assert.matches("no epmd answers on 127.0.0.1 port 1, as bastion sees it", no_epmd.err, 1, true)
    local no_node = run "NODE status --ssh bastion --dist-port 1"
    assert.matches("127.0.0.1 port 1 takes no connections from bastion", no_node.err, 1, true)
    local nobody = run "nobody@127.0.0.1 status --ssh bastion"
    assert.matches('knows no node "nobody"', nobody.err, 1, true)
    local cookie = run("NODE status --ssh bastion", { EDELIVER_RELUP_COOKIE = "wrong" })
    assert.matches("cookie", cookie.err, 1, true)
  end)

  with_ssh("gives up in time where ssh does not get on, and leaves no ssh behind", function()
    local stuck = server.folder .. "/stuck"
    process.shell("printf '#!/bin/sh\\necho $$ >>%s/started\\nexec sleep 1000\\n' >%s && chmod 755 %s",
      server.folder, stuck, stuck)
    local refused = run("NODE status --ssh bastion --timeout 300", { EDELIVER_RELUP_SSH = stuck })
    assert.equal(2, refused.code)
    assert.matches("in time", refused.err, 1, true)
  end)

  with_ssh("refuses what ssh would take for an option", function()
    local refused = run "NODE status --ssh=-oProxyCommand=false"
    assert.equal(64, refused.code)
    assert.matches("is no host that ssh can be given", refused.err, 1, true)
  end)

  with_ssh("ends with us, however that is", function()
    local asleep = sleepers()
    local words = program.command({ node.name, "call", "timer", "sleep", "100000", "--ssh", "bastion", "--yes" },
      { node = node, env = { EDELIVER_RELUP_SSH = server.program } })
    local us = process.start { command = { "sh", "-c", words } }
    assert.is_truthy(process.wait_until(function() return sleepers() == asleep + 1 end, 20000), us:printed())
    us:signal "KILL"
    us:stop()
  end)

  with_ssh("says that the connection is lost where the tunnel breaks", function()
    local before, asleep = #server:started(), sleepers()
    local words = program.command({
      node.name, "call", "timer", "sleep", "100000", "--wait", "100000", "--ssh", "bastion", "--yes",
    }, { node = node, env = { EDELIVER_RELUP_SSH = server.program } })
    local us = process.start { command = { "sh", "-c", words } }
    assert.is_truthy(process.wait_until(function() return sleepers() == asleep + 1 end, 20000), us:printed())
    process.shell("kill %s", server:started()[before + 2])
    assert.is_truthy(process.wait_until(function() return us:exited() end, 20000))
    assert.matches("the connection to " .. node.name .. " was lost", us:printed(), 1, true)
    assert.equal(2, us:exited())
    us:stop()
  end)

  with_ssh("connects again, and in a script", function()
    local script = server.folder .. "/again.lua"
    process.shell("cat >%s <<'END'\n%s\nEND", script, [[
      local relup = require "edeliver.relup"
      local node <close> = assert(relup.connect(arg[1], { ssh = "bastion" }))
      assert(node:reconnect(20000))
      print((assert(node:call("erlang", "node"))))]])
    local shown = program.run({ "run", script, node.name }, { node = node, env = { EDELIVER_RELUP_SSH = server.program } })
    assert.same({ 0, node.name .. "\n", "" }, { shown.code, (shown.out:gsub("'", "")), shown.err })
  end)

  with_ssh("is part of an environment", function()
    local folder, before = process.temporary_folder(), #server:started()
    process.shell("printf 'return { far = { node = \"%s\", ssh = \"bastion\" } }' >%s/edeliver-relup.lua",
      node.name, folder)
    local command = program.command({ "@far", "call", "erlang", "node", "--yes" },
      { node = node, env = { EDELIVER_RELUP_SSH = server.program } })
    command = command:gsub("^cd %S+ && exec", "exec"):gsub("bin/edeliver%-relup", process.root .. "/%0")
    local shown = process.output(("cd %s && %s 2>&1"):format(folder, command))
    process.remove_folder(folder)
    assert.matches(node.name, shown, 1, true)
    assert.equal(before + 2, #server:started())
  end)
end)
