local modification = require "edeliver.relup.modification"
local default_modification = require "edeliver.relup.default_modification"
local phoenix_modification = require "edeliver.relup.phoenix_modification"
local insert_instruction = require "edeliver.relup.insert_instruction"
local consult = require "edeliver.relup.consult"
local term = require "edeliver.relup.term"

local function parse(text) return assert(consult.parse(text .. "."))[1] end

describe("modification.choose", function()
  local config = { name = "myapp", applications = { "kernel", term.atom "phoenix" } }

  it("takes the usable one with the highest priority", function()
    assert.are.equal(default_modification, modification.choose { name = "myapp" })
    assert.are.equal(phoenix_modification, modification.choose(config))
    local mine = modification.define { modify_relup = function(instructions) return instructions end }
    assert.are.equal(1000, mine.priority)
    assert.are.equal(mine, modification.choose(config, { mine }))
    local never = modification.define { modify_relup = print, usable = function() return false end, priority = 5000 }
    local off = modification.define { modify_relup = print, priority = modification.PRIORITY_NONE }
    assert.are.equal(phoenix_modification, modification.choose(config, { never, off }))
    local same = modification.define { modify_relup = print }
    assert.are.equal(same, modification.choose(config, { same, mine }))
  end)

  it("obeys the configuration", function()
    assert.are.equal(default_modification,
      modification.choose { applications = config.applications, modification = default_modification })
  end)

  it("has the priorities of edeliver", function()
    assert.are.same({ 1, 2, 1000 },
      { default_modification.priority, phoenix_modification.priority, modification.PRIORITY_USER })
    assert.has_error(function() modification.define {} end, "a modification needs modify_relup")
  end)
end)

describe("modification.apply", function()
  local RELUP = [[{"3",
    [{"1",[],[{load_object_code,{myapp,"3",[a,b]}},{load_object_code,{other,"3",[c]}},point_of_no_return]},{"2",[x],[b]}],
    [{"2",[],[c]},{"0","text",[d]}]} ]]
  local seen
  local mine = modification.define {
    modify_relup = function(instructions, config)
      seen[#seen + 1] = instructions
      assert.are.equal("myapp", config.name)
      return insert_instruction.append(instructions, term.atom("v" .. instructions.down_version))
    end,
  }

  before_each(function() seen = {} end)

  it("changes every entry of the up and down lists, each with its own version", function()
    local relup = parse(RELUP)
    local changed = modification.apply(relup, { name = "myapp" }, mine)
    assert.are.equal(parse [[{"3",
      [{"1",[],[{load_object_code,{myapp,"3",[a,b]}},{load_object_code,{other,"3",[c]}},point_of_no_return,v1]},
       {"2",[x],[point_of_no_return,b,v2]}],
      [{"2",[],[point_of_no_return,c,v2]},{"0","text",[point_of_no_return,d,v0]}]} ]], changed)
    assert.are.equal(parse(RELUP), relup)
    assert.are.equal(3, #seen)
  end)

  it("puts the upgrade from a version and the downgrade to it together", function()
    modification.apply(parse(RELUP), { name = "myapp" }, mine)
    assert.are.same({ "1", "2", "0" }, { seen[1].down_version, seen[2].down_version, seen[3].down_version })
    assert.are.equal("3", seen[1].up_version)
    assert.are.equal(parse "[a,b]", seen[1].changed_modules)
    assert.are.equal(parse "[point_of_no_return,c]", seen[2].down_instructions)
    assert.are.equal(parse "[]", seen[1].down_instructions)
    assert.are.equal(parse "[]", seen[3].up_instructions)
  end)

  it("chooses by itself where nothing is given", function()
    local relup = parse '{"2",[{"1",[],[point_of_no_return,{load,{m,brutal_purge,brutal_purge}}]}],[]}'
    assert.are.equal(parse '{"2",[{"1",[],[point_of_no_return,{load,{m,soft_purge,brutal_purge}}]}],[]}',
      modification.apply(relup, { name = "myapp" }))
  end)

  it("leaves alone what restarts the emulator, and of two entries for a version changes the first", function()
    local RELUP_WITH = [[{"3",
      [{"1",[],[restart_new_emulator,{load_object_code,{a,"3",[m]}},point_of_no_return,{load,{m,soft_purge,soft_purge}}]},
       {"2",[],[point_of_no_return,a%s]},{"2",[],[b]}],
      [{"1",[],[point_of_no_return,c%s]},{"2",[],[point_of_no_return,restart_emulator]}]} ]]
    local changed = modification.apply(parse(RELUP_WITH:format("", "")), { name = "myapp" }, mine)
    assert.are.equal(parse(RELUP_WITH:format(",v2", ",v1")), changed)
  end)

  it("puts checks before the point of no return also where the script has none; what does not change stays", function()
    local relup = parse '{"2",[{"1",[],[{apply,{m,f,[]}}]}],[{"1",[],[]}]}'
    local lint = require "edeliver.relup.lint"
    local changed = modification.apply(relup, { name = "myapp" }, phoenix_modification)
    assert.are.same({}, lint(changed))
    assert.matches("check_ranch_connections,%[myapp%]},infinity%]}},point_of_no_return,", (term.format(changed)))
    assert.are.equal(relup, modification.apply(relup, { name = "myapp" }, default_modification))
  end)

  it("has the guard called by default", function()
    local relup = parse '{"2",[{"1",[],[point_of_no_return]}],[{"1",[],[point_of_no_return]}]}'
    local text = term.format(modification.apply(relup, { name = "myapp" }, phoenix_modification))
    local caught = "[{'Request',{run,%s,[myapp]}}]]}}"
    local bare = "{apply,{gen_server,call,[edeliver_relup,{run,%s,[myapp]},infinity]}}"
    for name, how in pairs { check_ranch_acceptors = bare, suspend_channels = caught, resume_ranch_acceptors = caught } do
      local call = how:format(name)
      local _, count = text:gsub(call:gsub("%p", "%%%0"), "")
      assert.are.equal(2, count, name)
    end
    assert.is_nil(text:find("Elixir", 1, true))
  end)
end)
