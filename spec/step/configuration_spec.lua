-- What an install would make of the configuration is said before it: on a real release, whose sys.config is changed.

local refusals = require "support.refusals"
local shared = require "support.shared"

describe("the configuration of a release", function()
  local PLAIN = "[{sasl,[{sasl_error_logger,false}]},{chat,[{colour,blue}]}].\n"

  local scene = shared(refusals.start, { next = { "2.0.0" } })
  setup(function() assert(scene.release:eval '{ok, _} = release_handler:unpack_release("chat-2.0.0")') end)
  after_each(function() scene:write("releases/2.0.0/sys.config", PLAIN) end)

  local function dry(config, options)
    if config then scene:write("releases/2.0.0/sys.config", config) end
    return scene:run("2.0.0", options, { dry_run = true })
  end

  it("has to be one that can be read", function()
    for text, problem in pairs {
      ["[{chat,[{colour,blue}]"] = "releases/2.0.0/sys.config is not right: line 1",
      ["[]. []."] = "it has to be one list",
      ["{chat,[]}."] = "it has to be one list",
      ["[{chat,colour}]."] = "it has to be one list",
    } do
      scene:write("releases/2.0.0/sys.config", text)
      local message, code = scene:refused "2.0.0"
      assert.equal("bad_config", code)
      assert.matches(problem, message, 1, true)
    end
  end)

  it("has to be there where the release that runs has one", function()
    scene:shell "rm releases/2.0.0/sys.config"
    local message, code = scene:refused "2.0.0"
    assert.equal("bad_config", code)
    assert.matches("releases/2.0.0 has no sys.config, and releases/1.0.0 has one", message, 1, true)
  end)

  it("says which keys of the old release's files the new one's do not have", function()
    local report, message, _, lines = dry "[{chat,[{colour,blue}]}].\n"
    assert.is_truthy(report, message)
    assert.matches("info: The configuration of 2.0.0 no longer has 1 key (sasl.sasl_error_logger)", lines, 1, true)
    assert.is_nil(lines:find("loses what", 1, true), lines)
  end)

  it("needs no word where only the new release's files say something else", function()
    local report, message, _, lines = dry(PLAIN)
    assert.is_truthy(report, message)
    assert.is_nil(lines:find("loses what", 1, true), lines)
  end)

  describe("that was set while the node ran", function()
    setup(function()
      assert(scene.release:eval "application:set_env(chat, colour, red), application:set_env(chat, secret, <<\"xyzzy\">>)")
    end)

    it("is said to be lost", function()
      local report, message, _, lines = dry(PLAIN)
      assert.is_truthy(report, message)
      assert.matches("warning: An install on .* loses what was configured after sys.config was read: "
        .. "it drops 1 value %(chat.secret%), and resets 1 value to what the files say %(chat.colour%)", lines)
      assert.is_nil(lines:find("xyzzy", 1, true))
    end)

    it("is not lost where a config provider may have set it, unless that is asked for", function()
      local config = "[{elixir,[{config_provider_init,#{providers => []}}]},{chat,[{colour,blue}]}]."
      scene:write("releases/2.0.0/sys.config", config)
      local message, code = scene:refused "2.0.0"
      assert.equal("runtime_config", code)
      assert.matches("--forget-runtime-config", message, 1, true)
      assert.is_truthy(dry(config, { forget_runtime_config = true }))
    end)
  end)
end)
