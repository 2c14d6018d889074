local option_names = require "edeliver.relup.cli.option_names"

describe("option_names", function()
  it("says configuration fields as options, with their values, and leaves other fields and texts alone", function()
    assert.equal("set --target channels, or leave --refuse out",
      option_names.of 'set config.target = "channels", or leave config.refuse out')
    assert.equal("more than 5 (--max-mailbox); --app names others",
      option_names.of "more than 5 (config.max_mailbox); config.applications names others")
    assert.equal('config.lease = "x", sys.config, config', option_names.of 'config.lease = "x", sys.config, config')
  end)

  it("knows only options that there are", function()
    local parser = require "edeliver.relup.cli.parser"
    for _, option in ipairs { "--app", "--engine", "--grace", "--journal", "--listener", "--max-mailbox", "--port", "--refuse",
      "--rehearse", "--target", "--tolerate" } do
      local _, refused = parser.parse { "a@b", "upgrade", "1", option }
      assert.is_falsy(refused and refused.message:find("unknown option", 1, true), option)
    end
  end)
end)
