-- How a relup is found and read on a node. What release_handler itself does with real releases is tried in install_spec.

local nodes = require "support.node"
local process = require "support.process"
local release_handler = require "edeliver.relup.otp.release_handler"
local relup = require "edeliver.relup"
local term = require "edeliver.relup.term"

local atom = term.atom

describe("otp.release_handler", function()
  local started, node, folder

  setup(function()
    started = nodes.start()
    node = assert(relup.connect(started.name, { cookie = started.cookie, epmd_port = started.epmd_port }))
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
    local found = assert(release_handler.relup(node, "1", "2"))
    assert.equal(folder .. "/2/relup", found.path)
    assert.equal("[point_of_no_return]", term.format(found.script))
    write("4", '{"4",[],[{"3",[],[restart_new_emulator]}]}.')
    found = assert(release_handler.relup(node, "4", "3"))
    assert.equal(folder .. "/4/relup", found.path)
    assert.is_false(found.up)
  end)

  it("says where there is none", function()
    local none, message, code = release_handler.relup(node, "8", "9")
    assert.is_nil(none)
    assert.equal("no_matching_relup", code)
    assert.matches("no relup on .* leads from 8 to 9", message)
  end)

  it("reads one of 16 MiB, but nothing larger", function()
    local text = '{"5",[{"1",[],[point_of_no_return]}],[]}.'
    write("5", text .. (" "):rep((16 << 20) - #text))
    assert(release_handler.relup(node, "1", "5"))
    write("5", text .. (" "):rep((16 << 20) - #text + 1))
    local none, message, code = release_handler.relup(node, "1", "5")
    assert.is_true(none == nil)
    assert.equal("limit", code)
    assert.equal(("the relup of 5 on %s has 16777217 bytes: of more than 16 MiB none is read"):format(node.name), message)
  end)

  it("believes no node that says less than it sends", function()
    local liar = { name = "liar@host", eval = function()
      return term.list { term.tuple { "/relup", ("x"):rep((16 << 20) + 1) }, term.tuple { atom "error", atom "enoent" } }
    end }
    local none, _, code = release_handler.relup(liar, "1", "2")
    assert.is_nil(none)
    assert.equal("limit", code)
  end)
end)
