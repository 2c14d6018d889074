-- What stays, what goes, and what is unpacked, as at a shell: make-permanent, unpack, remove; what an upgrade says of a restart.

local chat = require "support.chat"
local process = require "support.process"
local program = require "cli.program"
local shared = require "support.shared"

describe("edeliver-relup NODE", function()

  local release = shared(chat.start, { next = { "2.0.0" } })

  local function run(line) return program.run("NODE " .. line, { node = release }) end
  local function json(line) return program.json("NODE " .. line, { node = release }) end
  local function there(name) return process.read_file(release.root .. "/" .. name) ~= nil end

  it("unpack and remove: a release comes, and goes again", function()
    local none = run "unpack 9.9.9"
    assert.equal(1, none.code)
    assert.matches("has no release 9.9.9", none.err, 1, true)
    local unpacked = json "unpack 2.0.0"
    assert.equal(0, unpacked.code, unpacked.err)
    assert.same({ version = "2.0.0", from = "1.0.0" }, unpacked.json.result)
    assert.equal("unpacked", release:releases()["2.0.0"])
    assert.is_true(there "lib/chat-2.0.0/ebin/chat.app")
    local removed = json "remove 2.0.0"
    assert.equal(0, removed.code, removed.err)
    assert.is_nil(release:releases()["2.0.0"])
    assert.is_false(there "lib/chat-2.0.0/ebin/chat.app")
    assert.is_true(there "lib/chat-1.0.0/ebin/chat.app")
  end)

  it("remove: not what runs, nor what the node does not have", function()
    local runs = json "remove 1.0.0"
    assert.equal(1, runs.code)
    assert.equal("in_use", runs.json.error.code)
    assert.matches("1.0.0 is a release that .* runs or starts with: it stays", runs.err)
    assert.equal("no_such_release", json("remove 7.7.7").json.error.code)
  end)

  it("upgrade says what a restart returns to, and where the journal is; then the release is made permanent", function()
    os.execute(("cp %s/chat-2.0.0.tar.gz %s/releases/"):format(process.quote(chat.built()), process.quote(release.root)))
    local upgraded = program.run("NODE upgrade 2.0.0", { node = release })
    assert.equal(0, upgraded.code, upgraded.err)
    assert.matches("2.0.0 is not permanent: a restart returns to 1.0.0. `make-permanent 2.0.0` keeps it", upgraded.out, 1, true)
    assert.matches("\n  journal: /.*%.jsonl", upgraded.out)
    local other = json "make-permanent 1.0.0"
    assert.equal(1, other.code)
    assert.matches("runs 2.0.0, not 1.0.0: only the release that runs can be made permanent", other.err, 1, true)

    local boot = release.root .. "/releases/2.0.0/start.boot"
    os.execute(("mv %s %s.away"):format(process.quote(boot), process.quote(boot)))
    for _, line in ipairs { "make-permanent", "make-permanent --dry-run", "upgrade 2.0.0 --permanent" } do
      local missing = json(line)
      assert.equal(1, missing.code)
      assert.equal("no_start", missing.json.error.code)
      assert.matches("would not start with 2.0.0: releases/2.0.0/start.boot is missing", missing.err, 1, true)
    end
    os.execute(("mv %s.away %s"):format(process.quote(boot), process.quote(boot)))

    local dry = json "make-permanent --dry-run"
    assert.equal(0, dry.code, dry.err)
    assert.same({ version = "2.0.0", casualties = {}, was_permanent = false, dry_run = true }, dry.json.result)
    assert.equal("current", release:releases()["2.0.0"])

    local made = program.run("NODE upgrade 2.0.0 --permanent", { node = release })
    assert.equal(0, made.code, made.err)
    assert.matches("starts with 2.0.0 from now on", made.out, 1, true)
    assert.equal("permanent", release:releases()["2.0.0"])
    assert.is_truthy(process.read_file(release.root .. "/releases/start_erl.data"):find "2.0.0")
    local again = json "make-permanent"
    assert.equal(0, again.code)
    assert.is_true(again.json.result.was_permanent)
  end)

  it("downgrade refuses to make permanent what would not start, before anything is stopped", function()
    local env = release.root .. "/releases/2.0.0/env.sh"
    os.execute(("touch %s"):format(process.quote(env)))
    for _, command in ipairs { "check", "downgrade" } do
      local refused = json(command .. " 1.0.0 --permanent")
      assert.equal(1, refused.code, refused.out)
      assert.equal("no_start", refused.json.error.code)
      assert.matches("releases/1.0.0/env.sh is missing. It can be installed", refused.err, 1, true)
    end
    os.remove(env)
    assert.equal(0, run("check 1.0.0 --permanent").code)
  end)

  it("wants the emulator that the release names, where the node brings one of its own", function()
    local other = process.quote(release.root .. "/erts-0.0")
    os.execute("mkdir " .. other)
    local refused = json "check 1.0.0 --permanent"
    os.execute("rmdir " .. other)
    assert.same({ 1, "no_start" }, { refused.code, refused.json.error and refused.json.error.code })
    assert.matches("erts%-%d[%d.]+ is missing", refused.err)
    assert.equal(0, run("check 1.0.0 --permanent").code)
  end)

  it("looks for the runtime.exs that the release's own sys.config has read at the next start", function()
    local path = release.root .. "/releases/1.0.0/sys.config"
    local function write(to, text)
      local file <close> = assert(io.open(to, "w"))
      assert(file:write(text))
    end
    local before = process.read_file(path)
    -- As mix writes it.
    local bytes = table.concat({ ("/releases/1.0.0/runtime.exs"):byte(1, -1) }, ",")
    write(path, ("[{elixir,[{config_provider_init,#{providers => [{<<%s>>,[]}]}}]}].\n"):format(bytes))
    local refused = json "check 1.0.0 --permanent --forget-runtime-config"
    assert.same({ 1, "no_start" }, { refused.code, refused.json.error.code })
    assert.matches("releases/1.0.0/runtime.exs is missing", refused.err, 1, true)
    write(path, before)
    assert.equal(0, run("check 1.0.0 --permanent").code)
  end)

  it("call exits with 1 where the answer is an error", function()
    local refused = program.json("NODE call application start no_such_application", { node = release })
    assert.equal(1, refused.code)
    assert.matches("^{error,", refused.json.result.value)
    assert.equal(0, run("call erlang node").code)
  end)
end)
