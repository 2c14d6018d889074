local shift_instruction = require "edeliver.relup.shift_instruction"
local consult = require "edeliver.relup.consult"

local function parse(text) return assert(consult.parse(text .. "."))[1] end

describe("shift_instruction", function()
  it("moves the first load behind an instruction to before it", function()
    local list = parse "[a,x,{load_module,m},b,{add_module,m}]"
    assert.are.equal(parse "[a,{load_module,m},x,b,{add_module,m}]",
      shift_instruction.ensure_module_loaded_before_instruction(list, parse "x", parse "m"))
  end)

  it("leaves a list alone where a load stands before it already, or nothing is there", function()
    for _, text in ipairs { "[{load_module,m},x,{add_module,m}]", "[a,{load_module,m}]", "[x]", "[]" } do
      assert.are.equal(parse(text),
        shift_instruction.ensure_module_loaded_before_instruction(parse(text), parse "x", parse "m"))
    end
  end)

  it("moves every unload before an instruction to after it", function()
    assert.are.equal(parse "[a,x,{purge,[m]},{delete_module,m},b]",
      shift_instruction.ensure_module_unloaded_after_instruction(
        parse "[{delete_module,m},a,{purge,[m]},x,b]", parse "x", parse "m"))
  end)

  -- edeliver runs forever here.
  it("ends, and changes nothing, where the instruction is not there", function()
    local list = parse "[{delete_module,m},a]"
    assert.are.equal(list, shift_instruction.ensure_module_unloaded_after_instruction(list, parse "x", parse "m"))
  end)

  it("takes the runnable's own module where none is given", function()
    local run = parse "{apply,{m,run,[x]}}"
    assert.are.equal(parse "[{load,{m,soft_purge,soft_purge}},{apply,{m,run,[y]}},{apply,{m,run,[x]}}]",
      shift_instruction.ensure_module_loaded_before_first_runnable_instructions(
        parse "[{apply,{m,run,[y]}},{apply,{m,run,[x]}},{load,{m,soft_purge,soft_purge}}]", run))
    local value = {
      up_instructions = parse "[{apply,{m,run,[x]}},{add_module,m}]",
      down_instructions = parse "[{delete_module,m},{apply,{m,run,[x]}}]",
    }
    local shifted = shift_instruction.ensure_module_loaded_before_first_runnable_instructions(value, run)
    assert.are.equal(parse "[{add_module,m},{apply,{m,run,[x]}}]", shifted.up_instructions)
    assert.are.equal(parse "[{apply,{m,run,[x]}},{delete_module,m}]", shifted.down_instructions)
    assert.are.same(run, (shift_instruction.first_runnable_instruction(value.up_instructions, parse "m")))
    assert.is_nil(shift_instruction.first_runnable_instruction(value.up_instructions, parse "n"))
  end)
end)
