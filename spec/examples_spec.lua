-- Every example, run as its first lines say, against real releases with open sockets.

local certificates = require "support.certificates"
local node = require "support.node"
local process = require "support.process"
local chat = require "support.chat"
local clients = require "support.clients"

local quote = process.quote

-- Runs a script as an operator of a node would: what it printed, and its exit code.
local function run(on, script, ...)
  local words = { "lua5.4", process.root .. "/examples/" .. script }
  for _, word in ipairs { ... } do words[#words + 1] = word end
  local line = ("cd %s && LUA_PATH=%s LUA_CPATH=%s timeout 60 %s 2>&1; echo \"\n$?\""):format(quote(process.root),
    quote(package.path), quote(package.cpath), on and on:operator_command(words) or table.concat(words, " "))
  local printed, code = process.output(line):match "^(.*)\n(%d+)\n$"
  return printed, tonumber(code)
end

local function all_examples()
  local names = {}
  for name in process.output(("ls %s/examples"):format(quote(process.root))):gmatch "[%w_]+%.lua" do names[#names + 1] = name end
  return names
end

describe("examples", function()
  it("say how they are used", function()
    for _, name in ipairs(all_examples()) do
      local text = process.read_file(process.root .. "/examples/" .. name)
      assert.matches("^%-%- %u[^\n]*: [^\n]*" .. name, text, name)
      if not text:find "\nreturn " then
        local printed, code = run(nil, name)
        assert.equal(64, code, name .. ": " .. printed)
        assert.matches("usage: lua5.4 " .. name, printed, 1, true)
      end
    end
  end)

  it("connect.lua: connects, over TLS as well", function()
    local plain <close> = node.start {}
    local printed, code = run(plain, "connect.lua", plain.name)
    assert.equal(0, code, printed)
    assert.matches(("^node %s %%(connected%%)\tOTP\t\"%%d+\"\n$"):format(plain.name:gsub("%p", "%%%0")), printed)

    local authority = certificates.new()
    local certificate, key = authority:sign("operator", "operator")
    local secure <close> = node.start { args = authority:node_arguments("node", authority:sign("node", "127.0.0.1")) }
    local refused, failed = run(secure, "connect.lua", secure.name)
    local over_tls, succeeded = run(secure, "connect.lua", secure.name, authority.ca, certificate, key)
    authority:remove()
    assert.equal(1, failed, refused)
    assert.equal(0, succeeded, over_tls)
  end)

  it("watch.lua: looks", function()
    local release <close> = chat.start()
    local sockets <close> = clients.open { port = release.ports.endpoint, count = 4 } -- luacheck: ignore sockets
    local printed, code = run(release, "watch.lua", release.name, "chat", "0.1", "3")
    assert.equal(0, code, printed)
    assert.equal(3, select(2, printed:gsub("%d+ processes, 0 suspended, 4 websockets, longest mailbox %d+", "")))
  end)

  it("upgrade.lua: upgrades", function()
    local release <close> = chat.start()
    local printed, code = run(release, "upgrade.lua", release.name, "chat", "2.0.0")
    assert.equal(0, code, printed)
    assert.equal("current", release:releases()["2.0.0"])
  end)

  it("custom_step.lua: steps of one's own, under the same guarantees", function()
    local release <close> = chat.start { next = { "2.0.0", "2.0.1-early" } }
    local sockets <close> = clients.open { port = release.ports.endpoint, count = 4 }
    local missing, failed = run(release, "custom_step.lua", release.name, "chat", "2.0.0", "nobody_there")
    assert.equal(1, failed)
    assert.matches("nobody is called nobody_there there", missing, 1, true)
    assert.equal(0, release:suspended())
    local printed, code = run(release, "custom_step.lua", release.name, "chat", "2.0.0", "chat_counter")
    assert.equal(0, code, printed)
    assert.matches("suspend_process +done +[%d.]+ ms  chat_counter is suspended", printed)
    assert.matches("check_new_code +done +[%d.]+ ms  what runs is what lies on the disk", printed)
    assert.matches("5 processes suspended", printed)
    assert.equal(0, release:suspended())
    assert.equal(0, sockets:drain().reconnects)
  end)

  it("own_instruction.lua: runs in the middle of OTP's own script", function()
    local release <close> = chat.start()
    local sockets <close> = clients.open { port = release.ports.endpoint, count = 4 }
    local printed, code = run(release, "own_instruction.lua", release.name, "chat", "2.0.0")
    assert.equal(0, code, printed)
    assert.matches("collect_garbage +done +[%d.]+ ms  4 processes", printed)
    assert.equal("current", release:releases()["2.0.0"])
    assert.equal(0, sockets:drain().reconnects)
  end)

  it("rolling.lua: one node after the other, and may be run again", function()
    local one <close> = chat.start { cookie = "rolling" }
    local two <close> = chat.start { cookie = "rolling" }
    local three <close> = chat.start { cookie = "rolling", next = {} }
    local printed, code = run(one, "rolling.lua", "chat", "2.0.0", one.name, two.name, three.name)
    assert.equal(1, code)
    assert.matches(one.name .. "\tdone\n", printed, 1, true)
    assert.matches(two.name .. "\tdone\n", printed, 1, true)
    assert.matches(three.name .. "\tfailed\n", printed, 1, true)
    assert.matches(three.name .. ": install (prepare) failed", printed, 1, true)
    assert.equal("permanent", two:releases()["2.0.0"])
    local again, fine = run(one, "rolling.lua", "chat", "2.0.0", one.name, two.name)
    assert.equal(0, fine)
    assert.matches(one.name .. "\talready\n", again, 1, true)
    assert.matches(two.name .. "\talready\n", again, 1, true)
  end)

  describe("on files", function()
    local folder, relup

    before_each(function()
      folder = process.temporary_folder()
      relup = folder .. "/relup"
      local unpack = ("tar -xzOf %s/chat-2.0.0.tar.gz releases/2.0.0/relup > %s"):format(quote(chat.built()), relup)
      assert.is_true(os.execute(unpack))
    end)
    after_each(function() process.remove_folder(folder) end)

    it("patch_relup.lua: patches, and finds nothing wrong with it", function()
      local printed, code = run(nil, "patch_relup.lua", relup, "chat")
      assert.equal(0, code, printed)
      assert.matches("relup is patched, the old one is " .. relup .. ".bak", printed, 1, true)
      assert.matches("{run,suspend_channels,[chat]}", process.read_file(relup):gsub("%s", ""), 1, true)
    end)

    it("own_modification.lua: is taken by patch --script", function()
      local printed, succeeded = process.output(("cd %s && LUA_PATH=%s LUA_CPATH=%s lua5.4 bin/edeliver-relup patch %s "
        .. "--app chat --script examples/own_modification.lua --print 2>&1"):format(quote(process.root), quote(package.path),
        quote(package.cpath), relup))
      assert.is_true(succeeded, printed)
      assert.matches("<<\"off we go\">>", printed, 1, true)
      assert.matches("<<\"there we were\">>", printed, 1, true)
      assert.matches("soft_purge", printed, 1, true)
    end)
  end)
end)
