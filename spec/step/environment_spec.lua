-- A failed install leaves the environment of all applications as it was, whoever notices: we, the guard, or nobody of us.

local guard = require "edeliver.relup.undo.guard"
local process = require "support.process"
local refusals = require "support.refusals"
local release_handler = require "edeliver.relup.otp.release_handler"
local shared = require "support.shared"

describe("the environment of the applications", function()
  -- A version whose sys.config says something else, and whose relup fails right before the point of no return: not when it is
  -- checked, for that evaluates it, too.
  local scene = shared(refusals.start, { next = { "2.0.0" } })
  setup(function()
    assert(scene.release:eval '{ok, _} = release_handler:unpack_release("chat-2.0.0")')
    scene:write("releases/2.0.0/sys.config", "[{sasl,[{sasl_error_logger,false}]},{chat,[{colour,blue}]}].\n")
    local text = scene:read "releases/2.0.0/relup"
    scene:write("releases/2.0.0/relup", (text:gsub("point_of_no_return", "{apply,{chat_misfit,fail,[]}},point_of_no_return", 1)))
    assert(scene.release:eval "application:set_env(chat, colour, fun() -> red end), application:set_env(chat, only_here, 1)")
  end)

  local function state()
    return scene.release:eval [=[{lists:sort(application:loaded_applications()),
      [{App, lists:sort(application:get_all_env(App))} || App <- [chat, sasl, kernel, stdlib]],
      whereis(edeliver_relup_environment)}]=]
  end

  local function fail_when(when) assert(scene.release:eval("persistent_term:put(chat_misfit, " .. when .. ")")) end

  it("is as it was when an install has failed before the point of no return", function()
    local before = state()
    fail_when "install"
    local report, message = scene:run("2.0.0", { forget_runtime_config = true })
    assert.is_nil(report)
    assert.matches("chat_misfit", message)
    assert.equal(before, state())
  end)

  it("is put back by the process that keeps it, where operator and guard are gone", function()
    local before = state()
    fail_when "slowly"
    local operator = scene.release:connect()
    local the_guard = assert(guard.start(operator, { who = "ann" }))
    local ctx = scene:context { version = "2.0.0" }
    ctx.guard = the_guard
    assert(require("edeliver.relup.step.environment").keep(operator, ctx, "1.0.0"))
    assert(operator:cast("release_handler", "install_release", { require("edeliver.relup.term").charlist "2.0.0" }))
    scene.node:sleep(200)
    assert.are_not.equal(before, state())
    scene.release:eval "exit(whereis(edeliver_relup), kill)"
    operator:close()
    assert.truthy(process.wait_until(function() return state() == before end, 5000))
  end)

  it("is the new one when the install has gone well", function()
    fail_when "never"
    assert(scene:run("2.0.0", { forget_runtime_config = true }))
    assert.equal("2.0.0", release_handler.running(release_handler.which_releases(scene.node)).version)
    assert.equal("{{ok,blue},undefined,undefined}", scene.release:eval
      "{application:get_env(chat, colour), application:get_env(chat, only_here), whereis(edeliver_relup_environment)}")
  end)
end)
