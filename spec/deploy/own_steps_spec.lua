-- What is read of a relup.lua, and each way in which it is not one.

local own_steps = require "edeliver.relup.deploy.own_steps"
local process = require "support.process"
local sequence = require "edeliver.relup.sequence"

describe("the operator's own steps", function()
  local folder, path

  setup(function()
    folder = process.temporary_folder()
    path = folder .. "/relup.lua"
  end)
  teardown(function() process.remove_folder(folder) end)

  local function write(text)
    local file <close> = assert(io.open(path, "w"))
    file:write(text)
  end

  local function refused(text, code, part)
    write(text)
    local read, message, got = own_steps.read(path, "up")
    assert.is_nil(read)
    assert.equal(code, got, message)
    assert.truthy(message:find(part, 1, true), message)
    assert.truthy(message:find(path, 1, true), message)
  end

  it("are functions, steps, or lists of them, by direction", function()
    write [[return {
      before_swap = function(node, argument) return node .. argument end,
      after_swap = { function() return 1 end, { name = "warm", run = function() return 2 end, undo = function() end },
        function() return 3 end },
      after_swap_down = { name = "cool", run = function() return 4 end },
    }]]
    local up = assert(own_steps.read(path, "up"))
    assert.equal("before_swap", up.before[1].name)
    assert.equal("ab", up.before[1].run("a", "b"))
    assert.same({ "after_swap", "warm", "after_swap_3" }, { up.after[1].name, up.after[2].name, up.after[3].name })
    assert.is_function(up.after[2].undo)
    local down = assert(own_steps.read(path, "down"))
    assert.same({}, down.before)
    assert.equal("cool", down.after[1].name)
    local steps = { up.before[1] }
    table.move(up.after, 1, 3, 2, steps)
    assert(sequence.new(steps))
    assert.has_error(function() own_steps.read(path, "sideways") end)
  end)

  it("are found at the top of a release's folder, and nowhere else", function()
    write "return {}"
    assert.equal(path, own_steps.find(folder))
    assert.is_nil(own_steps.find(path))
    assert.is_nil(own_steps.find(folder .. "/none"))
  end)

  it("are refused where the file is not one", function()
    refused("return {", "syntax", "relup.lua:1:")
    refused("error 'no'", "lua", "relup.lua:1: no")
    refused("", "syntax", "it returns a nil, not a table")
    refused("return { swap = print }", "syntax", "it has swap, which is none of before_swap")
    refused("return { after_swap = 1 }", "syntax", "after_swap is a number, not a step or a list of steps")
    refused("return { after_swap = { 'install' } }", "syntax", "step 1 of after_swap is a string")
    refused("return { before_swap_down = { { name = 'a' } } }", "syntax", "step 1 of before_swap_down has no function run")
    refused("return { after_swap = { { run = print, runs = 1 } } }", "syntax", "has a field runs, which no step has")
    refused("return { after_swap = { { run = print, undo = 1 } } }", "syntax", "undo is a number, not a function")
    refused("return { after_swap = { a = print } }", "syntax", "after_swap is no step and no list of steps")
    refused("\27Lua", "syntax", "it is compiled")
    refused("--" .. ("x"):rep(1 << 20), "limit", "more than 1048576 bytes")
    os.remove(path)
    assert.equal("missing", select(3, own_steps.read(path, "up")))
  end)

  it("are refused where others can write the file", function()
    write "return {}"
    assert(os.execute("chmod 666 " .. process.quote(path)))
    local read, message, code = own_steps.read(path, "up")
    assert.is_nil(read)
    assert.equal("not_private", code)
    assert.truthy(message:find("only you or root may change it", 1, true))
  end)
end)
