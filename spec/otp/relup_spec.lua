-- The relup that an install takes: of a real release, and what a node may have in its place.

local live = require "support.live"
local nodes = require "support.node"
local process = require "support.process"
local relup = require "edeliver.relup.otp.relup"
local shared = require "support.shared"
local term = require "edeliver.relup.term"

local atom = term.atom

describe("otp.relup", function()
  local chat = shared(live.start)

  it("has nothing before the release is unpacked", function()
    local modules, message, code = relup.loaded_modules(chat.node, "2.0.0")
    assert.is_nil(modules)
    assert.matches("no relup on .* leads from 1.0.0 to 2.0.0", message)
    assert.equal("no_matching_relup", code)
  end)

  it("gives the modules that the upgrade loads", function()
    assert(chat.release:eval 'release_handler:unpack_release("chat-2.0.0")')
    local names = {}
    for i, module in ipairs(assert(relup.loaded_modules(chat.node, "2.0.0"))) do names[i] = module.name end
    table.sort(names)
    assert.same({ "Elixir.Chat.RoomChannel", "chat_counter", "chat_http", "chat_socket" }, names)
  end)

  it("gives those of the way down, too", function()
    assert(chat.release:eval 'release_handler:install_release("2.0.0")')
    assert.equal(4, #assert(relup.loaded_modules(chat.node, "1.0.0")))
  end)
end)

describe("otp.relup, on a node without releases", function()
  local started, node, folder

  setup(function()
    started = nodes.start()
    node = started:connect()
    folder = process.temporary_folder()
    assert(node:call("application", "set_env", { atom "sasl", atom "releases_dir", term.charlist(folder) }))
  end)

  teardown(function()
    node:close()
    started:stop()
    process.remove_folder(folder)
  end)

  local function write(version, text)
    assert(os.execute(("mkdir -p %s/%s"):format(folder, version)))
    local handle <close> = assert(io.open(("%s/%s/relup"):format(folder, version), "wb"))
    handle:write(text)
  end

  it("reads the relup of the new version, or that of the old one", function()
    write("2", '{"2",[{"1",[],[point_of_no_return]}],[]}.')
    local found = assert(relup.read(node, "1", "2"))
    assert.equal(folder .. "/2/relup", found.path)
    assert.equal("[point_of_no_return]", term.format(found.script))
    write("4", '{"4",[],[{"3",[],[restart_new_emulator]}]}.')
    found = assert(relup.read(node, "4", "3"))
    assert.equal(folder .. "/4/relup", found.path)
    assert.is_false(found.up)
    assert.equal("restart_new_emulator", found.restart)
  end)

  it("says where there is none", function()
    local none, message, code = relup.read(node, "8", "9")
    assert.is_nil(none)
    assert.equal("no_matching_relup", code)
    assert.matches("no relup on .* leads from 8 to 9", message)
  end)

  it("reads one of 16 MiB, but nothing larger", function()
    local text = '{"5",[{"1",[],[point_of_no_return]}],[]}.'
    write("5", text .. (" "):rep((16 << 20) - #text))
    assert(relup.read(node, "1", "5"))
    write("5", text .. (" "):rep((16 << 20) - #text + 1))
    local none, message, code = relup.read(node, "1", "5")
    assert.is_true(none == nil)
    assert.equal("limit", code)
    assert.equal(("the relup of 5 on %s has 16777217 bytes; one of more than 16 MiB is not read"):format(node.name), message)
  end)

  it("believes no node that says less than it sends", function()
    local liar = { name = "liar@host", run = function()
      return term.list { term.tuple { "/relup", ("x"):rep((16 << 20) + 1) }, term.tuple { atom "error", atom "enoent" } }
    end }
    local none, _, code = relup.read(liar, "1", "2")
    assert.is_nil(none)
    assert.equal("limit", code)
  end)
end)
