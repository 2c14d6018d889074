-- New children of applications on a real node: started by their exact specs behind the upgrade, ended on the way back.

local children = require "edeliver.relup.deploy.children"
local connect = require("edeliver.relup.node").connect
local plan = require "edeliver.relup.plan"
local process = require "support.process"
local releases = require "support.releases"

local CHILDREN = "lists:sort([Id || {Id, _, _, _} <- supervisor:which_children('Elixir.Shop.Supervisor')])"
local WITH = "['Elixir.Shop.Cache','Elixir.Shop.Cart','Elixir.Shop.Tills']"
local WITHOUT = "['Elixir.Shop.Cart','Elixir.Shop.Tills']"

describe("children of an application", function()
  local folder, running, node, made

  setup(function()
    folder = process.temporary_folder()
    running = releases.start(releases.copy("1.0.0", folder))
    node = assert(connect(running.name, { cookie = running.cookie, epmd_port = running.epmd_port }))
    made = assert(plan.compare(node, releases.built() .. "/shop-2.0.0", { start_children = { "Shop.Cache" } }))
    -- What a swap would have loaded.
    assert(running:eval(("{module, _} = code:load_abs(\"%s/shop-2.0.0/lib/shop-2.0.0/ebin/Elixir.Shop.Cache\")")
      :format(releases.built())))
  end)
  teardown(function()
    node:close()
    running:stop()
    process.remove_folder(folder)
  end)

  local function get_plan() return made end
  local to_new, to_old = { config = { version = "2.0.0" } }, { config = { version = "1.0.0" } }

  it("are started with their arguments, and ended by whoever goes back, in another run", function()
    local step = children.starting(get_plan)
    assert.equal("1 child will be started", step.prepare(node, to_new))
    assert.equal("started Shop.Cache", step.run(node, nil, to_new))
    assert.equal(WITH, running:eval(CHILDREN))
    assert.equal("[{size,10}]", running:eval "'Elixir.Agent':get('Elixir.Shop.Cache', fun(S) -> S end)")
    assert.equal("all run already", step.run(node, nil, to_new))
    assert.equal("ended Shop.Cache", children.ending().run(node, nil, to_old))
    assert.equal(WITHOUT, running:eval(CHILDREN))
    assert.is_true(children.ending().run(node, nil, to_old))
  end)

  it("are started again where the way back did not come about", function()
    local step = children.starting(get_plan)
    assert(step.prepare(node, to_new))
    assert(step.run(node, nil, to_new))
    local ending = children.ending()
    assert(ending.run(node, nil, { config = { version = "0.9.0" } }))
    assert.equal(WITHOUT, running:eval(CHILDREN))
    assert.is_true(ending.undo(node, { config = { version = "0.9.0" } }))
    assert.equal(WITH, running:eval(CHILDREN))
    -- But not where the old release is installed already.
    assert(ending.run(node, nil, to_old))
    assert.is_true(ending.undo(node, to_old))
    assert.equal(WITHOUT, running:eval(CHILDREN))
  end)

  it("are all started, or none", function()
    local step = children.starting(get_plan)
    assert(step.prepare(node, to_new))
    assert.equal("true", running:eval "register('Elixir.Shop.Cache', spawn(fun() -> receive stop -> ok end end))")
    local done, message, code = step.run(node, nil, to_new)
    assert.is_nil(done)
    assert.equal("child_failed", code)
    assert.matches("^Shop%.Cache of shop did not start: .*already_started", message)
    assert.equal(WITHOUT, running:eval(CHILDREN))
    assert.equal("stop", running:eval "P = whereis('Elixir.Shop.Cache'), R = monitor(process, P), P ! stop, \
      receive {'DOWN', R, _, _, _} -> stop end")
  end)

  it("are refused before anything is touched where the new release does not say how they start", function()
    local from_literals = assert(plan.compare(node, releases.built() .. "/shop-2.0.0.tar.gz",
      { start_children = { "Shop.Cache" } }))
    local done, message, code = children.starting(function() return from_literals end).prepare(node, to_new)
    assert.is_nil(done)
    assert.equal("no_such_child", code)
    assert.equal("Shop.Cache cannot be started: the new release did not say how, since it is not on the node's disk", message)
  end)

  it("stay where the release that the node goes back to starts them itself", function()
    local step = children.starting(get_plan)
    assert(step.prepare(node, to_new))
    assert(step.run(node, nil, to_new))
    local back = { started = { { application = "shop", found_by = "next_vm", lost = {} } } }
    assert.is_true(children.ending(function() return back end).run(node, nil, to_old))
    back.started[1].lost[1] = "Elixir.Shop.Cache"
    assert.equal("ended Shop.Cache", children.ending(function() return back end).run(node, nil, to_old))
  end)
end)
