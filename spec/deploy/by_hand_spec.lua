-- What the operator adds to a deploy: children that Application.start/2 newly lists, and steps of a relup.lua, both ways.

local process = require "support.process"
local program = require "cli.program"
local releases = require "support.releases"

local CHILDREN = "lists:sort([Id || {Id, _, _, _} <- supervisor:which_children('Elixir.Shop.Supervisor')])"

describe("a deploy with things of the operator's own", function()
  local folder, running, new

  setup(function()
    folder = process.temporary_folder()
    running = releases.start(releases.copy("1.0.0", folder))
    new = releases.copy("2.0.0", folder)
    local file <close> = assert(io.open(new .. "/relup.lua", "w"))
    file:write(([[
      local function note(text)
        return function(node, name)
          local runs = node:call("erlang", "module_loaded", { require("edeliver.relup.term").atom "Elixir.Shop.Cache" })
          local out <close> = assert(io.open("%s/notes", "a"))
          out:write(("%%s %%s %%s\n"):format(text, tostring(name), tostring(runs)))
          return text
        end
      end
      return { before_swap = note "before", after_swap = { note "after", { name = "again", run = note "again" } },
        before_swap_down = note "before down", after_swap_down = note "after down" }
    ]]):format(folder))
  end)
  teardown(function()
    running:stop()
    process.remove_folder(folder)
  end)

  local function deploy(...) return program.run({ running.name, "deploy", new, "--yes", "--anyway", ... }, { node = running }) end

  local function notes() return process.read_file(folder .. "/notes") end

  it("is refused before anything is touched where a name or the file is wrong", function()
    local wrong = deploy("--start-child", "Shop.Cashe")
    assert.equal(1, wrong.code, wrong.err)
    assert.matches("Shop.Cashe is no child that an application of shop 2.0.0 newly starts", wrong.err, 1, true)
    local path = folder .. "/wrong.lua"
    local file <close> = assert(io.open(path, "w"))
    file:write "return { after_swaps = print }"
    file:close()
    wrong = deploy("--steps", path)
    assert.truthy(wrong.code == 1 or wrong.code == 2)
    assert.matches("it has after_swaps, which is none of before_swap", wrong.err, 1, true)
    assert.equal("['Elixir.Shop.Cart','Elixir.Shop.Tills']", running:eval(CHILDREN))
  end)

  it("starts the children and runs the steps around the swap", function()
    local ran = deploy("--start-child", "Shop.Cache")
    assert.equal(0, ran.code, ran.err .. ran.out)
    assert.equal("['Elixir.Shop.Cache','Elixir.Shop.Cart','Elixir.Shop.Tills']", running:eval(CHILDREN))
    assert.equal("[{size,10}]", running:eval "'Elixir.Agent':get('Elixir.Shop.Cache', fun(S) -> S end)")
    assert.equal("before shop false\nafter shop true\nagain shop true\n", notes())
    local again = deploy("--start-child", "Shop.Cache")
    assert.equal(1, again.code)
    assert.matches("runs 2.0.0 already, with this very content", again.err, 1, true)
  end)

  it("ends them and runs the other steps on the way back", function()
    os.remove(folder .. "/notes")
    local ran = program.run({ running.name, "rollback", "--yes", "--steps", new .. "/relup.lua" }, { node = running })
    assert.equal(0, ran.code, ran.err .. ran.out)
    assert.matches("ended Shop.Cache", ran.err .. ran.out, 1, true)
    assert.equal("['Elixir.Shop.Cart','Elixir.Shop.Tills']", running:eval(CHILDREN))
    assert.equal("false", running:eval "erlang:module_loaded('Elixir.Shop.Cache')")
    assert.equal("before down shop true\nafter down shop false\n", notes())
  end)
end)
