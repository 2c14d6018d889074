-- Stack traces are left out, and nothing else.

local brief = require "edeliver.relup.cli.brief"

describe("cli.brief", function()
  it("leaves stack traces out, wherever they stand", function()
    local frames = '[{lists,nth,[5,[a]],[{file,"lists.erl"},{line,170}]},{erl_eval,do_apply,6,[{file,"erl_eval.erl"}]}]'
    for text, shown in pairs {
      ["refused: {'EXIT',{badarg," .. frames .. "}}"] = "refused: {'EXIT',{badarg,[...]}}",
      [frames .. " and " .. frames] = "[...] and [...]",
      ['{undef,[{nope,x,[],[]},{erlang,apply,2,[]}]}'] = "{undef,[...]}",
      [frames:sub(1, 60)] = "[...]",
      ["{a,[{'Elixir.Some.Module','-f/1-fun-0-',2,[{file,\"x.ex\"},{line,1}]}]} here"] = "{a,[...]} here",
    } do
      assert.equal(shown, brief.of(text))
    end
  end)

  it("leaves all else as it is", function()
    for _, text in ipairs { "", "nothing", "[{a,b}]", "[{a,b,c,d}]", "[{a,b,3}]", "[1,2,[{a,1,2,3}]]", "[{", "{[{a,b,[" } do
      assert.equal(text, brief.of(text))
    end
  end)
end)
