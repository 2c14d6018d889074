-- Which of the guard's calls are served: those that the relup makes, as often, in its order, with its arguments, in time.

local consult = require "edeliver.relup.consult"
local core = require "edeliver.relup.core"
local expected_calls = require "edeliver.relup.step.expected_calls"
local term = require "edeliver.relup.term"

local list = term.list

local function script(text) return assert(consult.parse(text .. "."))[1] end

local function call(name, arguments)
  return ("{apply,{gen_server,call,[edeliver_relup,{run,%s,%s},infinity]}}"):format(name, arguments or "[chat]")
end

local RELUP = script("[" .. table.concat({
  call "check_a", call "check_b", "point_of_no_return", call "suspend", "{apply,{erlang,garbage_collect,[]}}",
  "{load,{m,brutal_purge,brutal_purge}}", call("sleep", "[5]"), call("mine", '[{chat,"text",[1,2]}]'),
}, ",") .. "]")

describe("the calls that a relup makes", function()
  it("are found in their order, and counted up to the point of no return and to the last change", function()
    local calls = expected_calls.new(RELUP)
    local names = {}
    for i, each in ipairs(calls.calls) do names[i] = each.name end
    assert.same({ "check_a", "check_b", "suspend", "sleep", "mine" }, names)
    assert.same({ 2, 3 }, { calls.before, calls.within })
    local none = expected_calls.new(script "[point_of_no_return,{apply,{gen_server,call,[somebody,{run,x,[1]}]}}]")
    assert.same({ 0, 0, 0 }, { #none.calls, none.before, none.within })
  end)

  it("are found however they are wrapped", function()
    local wrapped = ("[point_of_no_return,{apply,{erl_eval,exprs,[%s,[{'Guard',edeliver_relup},{'Request',{run,x,[chat]}}]]}}]")
      :format "{text}"
    assert.equal("x", expected_calls.new(script(wrapped)).calls[1].name)
  end)

  it("whose arguments are no list are none", function()
    assert.equal(0, #expected_calls.new(script("[" .. call("x", "chat") .. "]")).calls)
  end)

  local CHAT = list { term.atom "chat" }
  -- Each row: what somebody asks for, and whether it is served: true, or the code.
  local tables = {
    ["in their order"] = { { "check_a", CHAT, true }, { "check_b", CHAT, true }, { "suspend", CHAT, true },
      { "sleep", list { 5 }, true }, { "mine", script '[{chat,"text",[1,2]}]', true }, { "mine", CHAT, "unexpected_call" } },
    ["once"] = { { "check_a", CHAT, true }, { "check_a", CHAT, "unexpected_call" }, { "check_b", CHAT, true } },
    ["not before their turn"] = { { "suspend", CHAT, "unexpected_call" }, { "check_a", CHAT, true } },
    ["with no other arguments"] = {
      { "check_a", list { term.atom "other" }, "unexpected_call" }, { "check_a", list {}, "unexpected_call" },
      { "check_a", term.atom "chat", "unexpected_call" }, { "check_a", 7, "unexpected_call" },
      { "check_a", nil, "unexpected_call" },
      { "check_a", term.charlist "chat", "unexpected_call" }, { "check_a", CHAT, true } },
    ["and no other step"] = { { "sleep", list { 20 }, "unexpected_call" }, { "nonsense", CHAT, "unexpected_call" } },
  }
  for how, rows in pairs(tables) do
    it("are served " .. how, function()
      local served, refused = {}, 0
      local serve = expected_calls.new(RELUP):serving(function(name, arguments, place)
        assert.equal("place", place)
        served[#served + 1] = name .. #arguments
        return true
      end, { refused = function(message)
        assert.matches("which the relup does not call for now: refused", message, 1, true)
        refused = refused + 1
      end })
      local expected = 0
      for _, row in ipairs(rows) do
        local answer, message, code = serve(row[1], row[2], "place")
        assert.equal(row[3], answer or code, row[1])
        assert.equal(answer == nil, message ~= nil)
        if row[3] == true then expected = expected + 1 end
      end
      assert.same({ expected, #rows - expected }, { #served, refused })
    end)
  end

  it("are served before the point of no return alone, where the release is only checked", function()
    local calls = expected_calls.new(RELUP)
    local serve = calls:serving(function() return true end, { count = calls.before })
    assert.is_true(serve("check_a", CHAT))
    assert.is_true(serve("check_b", CHAT))
    assert.equal("unexpected_call", select(3, serve("suspend", CHAT)))
  end)

  it("are served until the deadline", function()
    local serve = expected_calls.new(RELUP):serving(function() return true end, { deadline = core.now() + 50 })
    assert.is_true(serve("check_a", CHAT))
    core.sleep(60)
    assert.equal("timeout", select(3, serve("check_b", CHAT)))
  end)
end)
