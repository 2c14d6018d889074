-- A release that was made permanent is what the node starts with, however it is started: by its script, by a restart from inside,
-- by heart. Real mix releases, really restarted.

local node_of = require "edeliver.relup.node"
local permanent = require "edeliver.relup.step.permanent"
local process = require "support.process"
local register = require "edeliver.relup.deploy.register"
local context = require "edeliver.relup.step.context"
local release_handler = require "edeliver.relup.otp.release_handler"
local release_of = require "edeliver.relup.release"
local releases = require("support.releases").of "depot"

describe("a release that is made permanent", function()
  local folder, root, running, node, said

  before_each(function()
    folder, said = process.temporary_folder(), {}
    root = releases:copy("1.0.0", folder)
    local next_root = releases:copy("2.0.0", folder)
    assert(os.execute(("cp -rn %s/lib %s/; cp -r %s/releases/2.0.0 %s/releases/"):format(next_root, root, next_root, root)))
  end)
  after_each(function()
    if node then node:close() end
    if running then running:stop() end
    node, running = nil, nil
    process.remove_folder(folder)
  end)

  local function read(name) return process.read_file(root .. "/" .. name) end
  local function change(name, from, to)
    local text = read(name)
    local file <close> = assert(io.open(root .. "/" .. name, "wb"))
    local changed, count = text:gsub(from, to)
    assert(count > 0)
    assert(file:write(changed))
  end

  local function connect()
    return assert(node_of.connect(running.name, { cookie = running.cookie, epmd_port = running.epmd_port }))
  end
  -- Starts 1.0.0; installs 2.0.0 with a relup that loads nothing: what is of interest here is the next start.
  local function start(env)
    env = env or {}
    env.DEPOT_HOME = "attic"
    running = releases:start(root, env)
    node = connect()
    local ctx = context.new { node = node, logger = function() end }
    assert(register.add(node, assert(release_of.open(root, { version = "2.0.0" })), {
      relup = '{"2.0.0",[{"1.0.0",[],[point_of_no_return]}],[{"1.0.0",[],[point_of_no_return]}]}.\n', ctx = ctx,
    }))
    assert(release_handler.install_release(node, "2.0.0", 10000))
  end
  local function make(version)
    assert.truthy(permanent.look(node, "1.0.0", version or "2.0.0"))
    return assert(permanent.make(node, version or "2.0.0", function(text) said[#said + 1] = text end))
  end
  local function env(name) return running:eval(("os:getenv(%q)"):format(name)) end
  local function version() return running:eval "'Elixir.Depot.Version':version()" end
  local function comes_up_as(wanted)
    return process.wait_until(function()
      return running:eval [[lists:keymember(depot, 1, application:which_applications())
        andalso 'Elixir.Depot.Version':version()]] == wanted
    end, 20000)
  end

  it("is what a restart from inside comes back with: code, sys.config and runtime.exs", function()
    start()
    local before = process.output(("ls -la %s/releases/start_erl.data"):format(root)):sub(1, 10)
    -- A start at any moment finds one or the other.
    local seen = folder .. "/seen"
    local reader = process.start { command = { "sh", "-c",
      ("while :; do cat %s/releases/start_erl.data; echo; done > %s"):format(root, seen) } }
    process.wait_until(function() return (process.read_file(seen) or "") ~= "" end, 5000)
    assert.equal(("%s starts with 2.0.0 from now on"):format(running.name), make())
    process.wait_until(function() return (process.read_file(seen) or ""):find "2%.0%.0" end, 5000)
    reader:stop()
    for line in process.read_file(seen):gmatch "([^\n]*)\n" do assert.matches("^%d[%d.]* [12]%.0%.0$", line) end
    assert.matches("^%d[%d.]* 2%.0%.0$", read "releases/start_erl.data")
    assert.equal(before, process.output(("ls -la %s/releases/start_erl.data"):format(root)):sub(1, 10))
    assert.matches('"2.0.0".*permanent', read "releases/RELEASES")
    assert.equal("", process.output(("ls %s/releases | grep new"):format(root)))
    assert.equal("permanent", release_handler.find(assert(release_handler.which_releases(node)), "2.0.0").status)
    assert.equal("old", release_handler.find(assert(release_handler.which_releases(node)), "1.0.0").status)
    assert.equal('"2.0.0"', env "RELEASE_VSN")
    assert.equal(('"%s/releases/2.0.0/sys"'):format(root), env "RELEASE_SYS_CONFIG")
    assert.equal(('"%s/releases/2.0.0/vm.args"'):format(root), env "RELEASE_VM_ARGS")
    assert.equal("1", version())
    running:eval "init:restart()"
    assert(comes_up_as "2", version())
    assert.equal('{ok,<<"blue">>}', running:eval "application:get_env(depot, color)")
    assert.equal('{ok,<<"depot@attic">>}', running:eval "application:get_env(mails, from)")
    node:close()
    node = connect()
    assert.equal("permanent", release_handler.find(assert(release_handler.which_releases(node)), "2.0.0").status)
    assert(release_handler.remove_release(node, "1.0.0"))
    assert(running:eval "persistent_term:put(before_it, true)")
    running:eval "init:restart()"
    assert(process.wait_until(function() return running:eval "persistent_term:get(before_it, gone)" == "gone" end, 20000))
    assert(comes_up_as "2", version())
  end)

  it("is what bin/NAME start starts, with the variables that this script leaves", function()
    start()
    make()
    node:close()
    running:stop()
    running = releases:start(root, { DEPOT_HOME = "cellar" })
    assert.equal("2", version())
    assert.equal('{ok,<<"cellar">>}', running:eval "application:get_env(depot, home)")
  end)

  it("is what it comes back with where Elixir restarts the node to configure it, once and not for ever", function()
    for _, each in ipairs { "1.0.0", "2.0.0" } do
      local name = ("releases/%s/sys.config"):format(each)
      change(name, "RUNTIME_CONFIG=false", "RUNTIME_CONFIG=true")
      change(name, "reboot_system_after_config => false", "reboot_system_after_config => true")
    end
    change("releases/2.0.0/runtime.exs", "fn text %-> String.reverse%(text%) end", "&String.reverse/1")
    start()
    make()
    assert.matches("/tmp/depot%-2%.0%.0%-.*%.runtime\"$", env "RELEASE_SYS_CONFIG")
    local pristine = read "releases/2.0.0/sys.config"
    running:eval "init:restart()"
    assert(comes_up_as "2", version())
    assert.equal('{ok,<<"blue">>}', running:eval "application:get_env(depot, color)")
    assert.equal('{ok,<<"attic">>}', running:eval "application:get_env(depot, home)")
    -- Resolved values are in the copy, and not in the release.
    assert.equal(pristine, read "releases/2.0.0/sys.config")
  end)

  it("is what heart starts, whose environment is the first start's", function()
    local told = folder .. "/told"
    start { ERL_AFLAGS = "-kernel inet_dist_use_interface {127,0,0,1} -heart",
      HEART_COMMAND = ("%s/bin/depot version > %s"):format(root, told) }
    make()
    local command = running:eval "heart:get_cmd()"
    assert.matches('{ok,"unset RELEASE_VSN RELEASE_SYS_CONFIG RELEASE_VM_ARGS RELEASE_REMOTE_VM_ARGS; ', command, 1, true)
    make()
    assert.equal(command, running:eval "heart:get_cmd()")
    -- Also when the node has restarted from inside meanwhile.
    running:eval "init:restart()"
    assert(comes_up_as "2", version())
    node:close()
    node = nil
    running:stop()
    assert(process.wait_until(function() return (process.read_file(told) or "") ~= "" end, 10000))
    assert.equal("depot 2.0.0\n", process.read_file(told))
  end)

  it("leaves alone what was set by hand, says what a container's image does, and mends what OTP has made permanent", function()
    local own = folder .. "/own.args"
    assert(os.execute(("cp %s/releases/1.0.0/vm.args %s"):format(root, own)))
    start { RELEASE_VM_ARGS = own, KUBERNETES_SERVICE_HOST = "10.0.0.1" }
    assert(release_handler.make_permanent(node, "2.0.0", 10000))
    assert.is_false(permanent.stays(node, "2.0.0"))
    make()
    assert.is_true(permanent.stays(node, "2.0.0"))
    assert.equal(('"%s"'):format(own), env "RELEASE_VM_ARGS")
    assert.matches("runs in a container: it starts with 2.0.0 as long as this container is there", said[#said], 1, true)
  end)

  it("is refused with nothing changed where the next start would not find what it needs, or may not write", function()
    start()
    local start_erl, books = read "releases/start_erl.data", read "releases/RELEASES"
    assert(os.execute(("cd %s/releases && mv RELEASES away && mkdir RELEASES"):format(root)))
    local made, message = permanent.make(node, "2.0.0", function() end)
    assert.is_nil(made)
    assert.matches("2.0.0 could not be made permanent: /.*/RELEASES could not be written %(%l+%); the node starts as before",
      message)
    assert(os.execute(("cd %s/releases && rmdir RELEASES && mv away RELEASES"):format(root)))
    assert.equal(start_erl, read "releases/start_erl.data")
    assert.equal(books, read "releases/RELEASES")
    assert.equal("current", release_handler.find(assert(release_handler.which_releases(node)), "2.0.0").status)
    assert.equal('"1.0.0"', env "RELEASE_VSN")
    assert.equal(0, #process.output(("ls %s/releases | grep new"):format(root)))
    assert(release_handler.install_release(node, "1.0.0", 10000))
    local of_old = select(2, permanent.make(node, "2.0.0", function() end))
    assert.matches("2.0.0 could not be made permanent: its status is old", of_old, 1, true)
    assert(release_handler.install_release(node, "2.0.0", 10000))
    local refused = select(2, permanent.make(node, "7.7.7", function() end))
    assert.matches("no_such_release", refused)
    make()
  end)
end)
