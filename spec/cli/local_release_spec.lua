-- --release: cookie and node's name from a release folder on this machine, as its own start script takes them.

local local_release = require "edeliver.relup.cli.local_release"
local process = require "support.process"
local program = require "cli.program"
local releases = require "support.releases"
local session = require "edeliver.relup.cli.session"

describe("--release", function()
  local folder, path, running, host
  setup(function()
    folder = process.temporary_folder()
    path = releases.copy("1.0.0", folder)
    running = releases.start(path)
    host = process.output("hostname"):match "%S+"
  end)
  teardown(function()
    if running then running:stop() end
    process.remove_folder(folder)
  end)

  local function write(name, text)
    local file <close> = assert(io.open(path .. "/releases/" .. name, "w"))
    file:write(text)
  end
  -- No home, so that no cookie is found but in the release.
  local function run(words, env)
    env.HOME, env.ERL_EPMD_PORT, env.XDG_STATE_HOME = folder, running.epmd_port, folder
    return program.run(words, { env = env })
  end

  it("connects with what the release has, and says once that others can read its cookie", function()
    write("COOKIE", running.cookie)
    assert(os.execute("chmod 644 " .. path .. "/releases/COOKIE"))
    local shown = run({ "status", "--release", path }, { RELEASE_NODE = running.name })
    assert.equal(0, shown.code, shown.err)
    assert.matches("shop", shown.out)
    assert.equal(1, select(2, shown.err:gsub("others on this machine can read", "")))
    assert(os.execute("chmod 400 " .. path .. "/releases/COOKIE"))
    local quiet = run({ running.name, "releases", "--release=" .. path .. "/" }, {})
    assert.equal(0, quiet.code, quiet.err)
    assert.equal("", quiet.err)
    write("COOKIE", "")
    assert.equal(2, run({ running.name, "releases", "--release", path }, {}).code)
    local by_variable = run({ running.name, "releases", "--release", path }, { RELEASE_COOKIE = running.cookie })
    assert.equal(0, by_variable.code, by_variable.err)
    assert.equal(0, run({ running.name, "releases" }, { RELEASE_COOKIE = running.cookie }).code)
    assert.equal(2, run({ running.name, "releases" }, {}).code)
  end)

  it("takes the name from RELEASE_NODE, env.sh or the release, and guesses nothing", function()
    local env = "1.0.0/env.sh"
    local before = process.read_file(path .. "/releases/" .. env)
    assert.equal("shop@" .. host:match "^[^.]+", local_release.node(path))
    for text, name in pairs {
      ["export RELEASE_NODE=shop@10.0.0.7"] = "shop@10.0.0.7", ["RELEASE_NODE=\"a@b\" # ours"] = "a@b",
      ["# export RELEASE_NODE=no\nexport RELEASE_NODE='one'"] = "one@" .. host:match "^[^.]+",
    } do
      write(env, text .. "\n")
      assert.equal(name, local_release.node(path))
    end
    for _, text in ipairs { "export RELEASE_NODE=shop@$(hostname -f)", "export RELEASE_NODE=${RELEASE_NODE:-x}" } do
      write(env, text .. "\n")
      local _, message, code = local_release.node(path)
      assert.equal("badarg", code)
      assert.matches("env.sh computes RELEASE_NODE: say the node's name before the command", message, 1, true)
      assert.equal(64, run({ "status", "--release", path }, {}).code)
    end
    write(env, "export RELEASE_DISTRIBUTION=name\n")
    assert.matches("has a long name", select(2, local_release.node(path)))
    write(env, before)
    assert.equal("missing", select(3, local_release.node(folder)))
    assert.equal(64, run({ "status", "--release", folder }, {}).code)
  end)

  it("makes this machine's own name a local one", function()
    assert.is_true(session.is_local { node = "shop@" .. host })
    assert.is_true(session.is_local { node = "shop@" .. host:match "^[^.]+" })
    assert.is_false(session.is_local { node = "shop@" .. host .. "x" })
    assert.is_false(session.is_local { node = "shop@" .. host, address = "10.0.0.7" })
  end)
end)
