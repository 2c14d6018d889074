-- Which parts of a relup may be one swap: scripts, what is left of them, and why.

local consult = require "edeliver.relup.consult"
local fuse = require "edeliver.relup.script.fuse"
local term = require "edeliver.relup.term"

local function script(text) return assert(consult.parse("[" .. text .. "]."))[1] end

local CALL = "{apply,{gen_server,call,[edeliver_relup_swap,{swap,%d},infinity]}}"
local CODE = "{load_object_code,{a,\"2\",[m,n]}}"
local KEPT = "{load_object_code,{a,\"2\",[]}}"
local LOAD_M, LOAD_N = "{load,{m,brutal_purge,brutal_purge}}", "{load,{n,soft_purge,soft_purge}}"

local function fused(...) return assert(fuse.script(script(table.concat({ ... }, ",")))) end

local function is(made, ...) assert.equal("[" .. table.concat({ ... }, ",") .. "]", term.format(made.script)) end

describe("a script", function()
  it("that only suspends, loads, changes and resumes is one swap, before the point of no return", function()
    local made = fused(CODE, "point_of_no_return", "{suspend,[m]}", LOAD_M, "{code_change,up,[{m,x}]}", "{resume,[m]}", LOAD_N)
    is(made, KEPT, CALL:format(1), "point_of_no_return")
    assert.equal(1, #made.stops)
    local stop = made.stops[1]
    assert.is_true(stop.cancels)
    assert.equal("m n", tostring(stop.load[1].module) .. " " .. tostring(stop.load[2].module))
    assert.equal("a 2", tostring(stop.load[1].application) .. " " .. stop.load[1].version)
    assert.equal("up", stop.change[1].mode)
    assert.equal("x", tostring(stop.change[1].extra))
    assert.same({}, made.left)
  end)

  it("down changes before it loads", function()
    local made = fused(CODE, "point_of_no_return", "{suspend,[m]}", "{code_change,down,[{m,[]}]}", LOAD_M, "{resume,[m]}")
    assert.equal("down", made.stops[1].change[1].mode)
    is(made, "{load_object_code,{a,\"2\",[n]}}", CALL:format(1), "point_of_no_return")
  end)

  it("down changes modules of the type static behind the load, as supervisors are", function()
    local made = fused(CODE, "point_of_no_return", "{suspend,[m]}", LOAD_M, "{code_change,down,[{m,[]}]}", "{resume,[m]}")
    assert.equal("static", made.stops[1].change[1].mode)
    is(made, "{load_object_code,{a,\"2\",[n]}}", CALL:format(1), "point_of_no_return")
  end)

  it("keeps what calls, starts and stops, with a swap on each side", function()
    local made = fused(CODE, "point_of_no_return", LOAD_M, "{apply,{a,b,[]}}", LOAD_N, "{stop,[p]}", "{start,[p]}")
    is(made, KEPT, CALL:format(1), "point_of_no_return", "{apply,{a,b,[]}}", CALL:format(2), "{stop,[p]}", "{start,[p]}")
    assert.is_true(made.stops[1].cancels)
    assert.is_false(made.stops[2].cancels)
    local reasons = {}
    for i, left in ipairs(made.left) do reasons[i] = left.reason end
    assert.same({ fuse.REASONS.apply, fuse.REASONS.stop, fuse.REASONS.start }, reasons)
  end)

  it("takes what no relup can say into its first stop, in the place of what the relup says of the same module", function()
    local text = table.concat({ CODE, "point_of_no_return", LOAD_M, "{apply,{a,b,[]}}", LOAD_N }, ",")
    local made = assert(fuse.script(script(text), {
      head = { term.tuple { term.atom "apply", term.atom "first" } },
      load = { { module = term.atom "n", path = "/there/n.beam" } },
      paths = { { from = "/here", to = "/there" } }, children = true,
    }))
    is(made, "{apply,first}", KEPT, CALL:format(1), "point_of_no_return", "{apply,{a,b,[]}}", CALL:format(2))
    assert.same({ { module = term.atom "m", application = term.atom "a", version = "2" },
      { module = term.atom "n", path = "/there/n.beam" } }, made.stops[1].load)
    assert.same({ { application = term.atom "a", version = "2" }, { from = "/here", to = "/there" } }, made.stops[1].paths)
    assert.is_true(made.stops[1].children)
    assert.same({}, made.stops[2].load)
  end)

  it("takes it into a stop of its own where the relup has none that still cancels", function()
    local made = assert(fuse.script(script(table.concat({ CODE, "point_of_no_return", "{apply,{a,b,[]}}", LOAD_N }, ",")), {
      load = { { module = term.atom "p", path = "/there/p.beam" } },
    }))
    is(made, "{load_object_code,{a,\"2\",[m]}}", CALL:format(1), "point_of_no_return", "{apply,{a,b,[]}}", CALL:format(2))
    assert.equal("p", tostring(made.stops[1].load[1].module))
    assert.equal("n", tostring(made.stops[2].load[1].module))
    assert.is_false(made.stops[1].children)
  end)

  it("has added applications started by its first stop, where nothing has been done before", function()
    local added, start = '{load_object_code,{b,"1",[o]}}', "{apply,{application,start,[b,permanent]}}"
    local load_o = "{load,{o,brutal_purge,brutal_purge}}"
    local made = fused(added, CODE, "point_of_no_return", load_o, start, "{suspend,[m]}", LOAD_M, "{code_change,up,[{m,x}]}",
      "{resume,[m]}")
    is(made, '{load_object_code,{b,"1",[]}}', '{load_object_code,{a,"2",[n]}}', CALL:format(1), "point_of_no_return")
    assert.same({ { application = term.atom "b", version = "1", type = term.atom "permanent" } }, made.stops[1].starts)
    assert.equal(2, #made.stops[1].load)
    -- What has been loaded before may be what it counts on.
    made = fused(added, CODE, "point_of_no_return", LOAD_M, load_o, start, LOAD_N)
    is(made, '{load_object_code,{b,"1",[]}}', KEPT, CALL:format(1), "point_of_no_return", start, CALL:format(2))
    assert.same({}, made.stops[1].starts)
  end)

  it("that was left behind by an upgrade is known", function()
    local made = fused(CODE, "point_of_no_return", LOAD_M)
    assert.is_true(fuse.is_fused(made.script))
    assert.is_false(fuse.is_fused(script(CODE .. ",point_of_no_return," .. LOAD_M .. ",{apply,{gen_server,call,[a,b]}}")))
  end)

  it("removes modules, too", function()
    local made = fused(CODE, "point_of_no_return", LOAD_M, "{remove,{old,brutal_purge,brutal_purge}}", "{purge,[old]}")
    assert.equal("old", tostring(made.stops[1].remove[1]))
  end)

  it("takes timeouts of suspends, and code_changes without a mode", function()
    local made = fused(CODE, "point_of_no_return", "{suspend,[{m,1000}]}", LOAD_M, "{code_change,[{m,[]}]}", "{resume,[m]}")
    assert.equal("m", tostring(made.stops[1].suspend[1]))
    assert.equal("up", made.stops[1].change[1].mode)
  end)

  it("changes none of those that the script has not suspended, as OTP does not", function()
    assert.same({}, fused(CODE, "point_of_no_return", LOAD_M, "{code_change,up,[{m,[]}]}").stops[1].change)
  end)

  local STAYS = {
    { "a module twice", "a second time", LOAD_M, LOAD_M },
    { "a removal of what it has loaded", "removes a module that it has loaded", LOAD_M, "{remove,{m,soft_purge,soft_purge}}" },
    { "a purge of something else", "purges a module that it does not load", LOAD_M, "{purge,[other]}" },
    { "a suspend without its resume", "resumes its processes only behind", "{suspend,[m]}", LOAD_M },
    { "a resume without its suspend", "what something before it has suspended", LOAD_M, "{resume,[m]}" },
    { "a second suspend", "processes a second time", "{suspend,[m]}", "{suspend,[m]}", LOAD_M, "{resume,[m]}" },
    { "a change up before the load", "before their new", "{suspend,[m]}", "{code_change,up,[{m,[]}]}", LOAD_M, "{resume,[m]}" },
    { "code that it has not read", "without a load_object_code", "{load,{other,soft_purge,soft_purge}}" },
    { "nothing to load", "loads nothing", "{suspend,[m]}", "{resume,[m]}" },
  }
  for _, case in ipairs(STAYS) do
    it("with " .. case[1] .. " stays OTP's, and says why", function()
      local rest = table.concat(case, ",", 3)
      local made = fused(CODE, "point_of_no_return", rest)
      is(made, CODE, "point_of_no_return", rest)
      assert.same({}, made.stops)
      assert.equal(1, #made.left)
      assert.matches(case[2], made.left[1].reason, 1, true)
      assert.equal(3, made.left[1].position)
      assert.equal(#case - 2, made.left[1].count)
    end)
  end

  it("without a point of no return is none", function()
    local made, message, code = fuse.script(script "{apply,{a,b,[]}}")
    assert.is_nil(made)
    assert.equal("no_point_of_no_return", code)
    assert.matches("nothing in it loads code", message)
  end)
end)
