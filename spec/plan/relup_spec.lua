-- Relups against systools itself: for each case of systools.escript, our script is the one that systools:make_relup made, up and
-- down; what systools refuses, we refuse.

local consult = require "edeliver.relup.consult"
local plan = require "edeliver.relup.plan"
local process = require "support.process"
local release = require "edeliver.relup.release"
local term = require "edeliver.relup.term"

local quote = process.quote

describe("a relup", function()
  local folder

  setup(function()
    folder = process.temporary_folder()
    local text, good = process.output(("escript %s/spec/plan/systools.escript %s 2>&1")
      :format(quote(process.root), quote(folder)))
    assert.is_true(good, text)
  end)
  teardown(function() process.remove_folder(folder) end)

  local function plans_of(case, versions)
    local plans = {}
    for i, version in ipairs(versions) do
      plans[i] = assert(plan.compare(("%s/%s/%d"):format(folder, case, version), ("%s/%s/3"):format(folder, case)))
    end
    return plans
  end

  -- An instruction a line, for a difference that can be read.
  local function lines(relup)
    local out = { term.format(relup[1]) }
    for _, direction in ipairs { 2, 3 } do
      for i = 1, #relup[direction] do
        local entry = relup[direction][i]
        out[#out + 1] = ("%s %s %s"):format(direction == 2 and "up" or "down", term.format(entry[1]), term.format(entry[2]))
        for j = 1, #entry[3] do out[#out + 1] = "  " .. term.format(entry[3][j]) end
      end
    end
    return table.concat(out, "\n")
  end

  local CASES = { "loads", "chain", "updates", "cycle", "between", "low", "restart", "restart_2", "modules", "applications",
    "two_cycles", "restarts", "erts" }
  for _, case in ipairs(CASES) do
    it(case .. ": is what systools makes", function()
      local wanted = assert(consult.parse(process.read_file(("%s/%s/relup"):format(folder, case))))[1]
      local made = assert(plan.relup(plans_of(case, { 2 })))
      assert.equal(lines(wanted), lines(made.relup))
      assert.is_true(term.equal(wanted, made.relup))
      assert.is_true(term.equal(wanted, assert(consult.parse(made.text))[1]))
      assert.equal("appup", made.found_by.shop)
    end)
  end

  -- Which of two that do not depend on each other comes first, systools leaves to a hash of their names.
  it("star: has what systools has, each module behind those that it depends on (and before them on the way down)", function()
    local wanted = assert(consult.parse(process.read_file(folder .. "/star/relup")))[1]
    local made = assert(plan.relup(plans_of("star", { 2 })))
    local function loads(relup, direction)
      local found, at = {}, {}
      local script = relup[direction][1][3]
      for i = 1, #script do
        local text = term.format(script[i])
        if text:find "^{load," then
          found[#found + 1] = text
          at[text:match "m_%w"] = i
        end
      end
      table.sort(found)
      return found, at
    end
    for direction = 2, 3 do
      local ours, at = loads(made.relup, direction)
      assert.same((loads(wanted, direction)), ours)
      for _, other in ipairs { "m_b", "m_c" } do
        assert.is_true(direction == 2 and at.m_a > at[other] or direction == 3 and at.m_a < at[other])
      end
    end
  end)

  it("several: from two releases, by patterns, with two applications", function()
    local wanted = assert(consult.parse(process.read_file(folder .. "/several/relup")))[1]
    local made = assert(plan.relup(plans_of("several", { 1, 2 })))
    assert.equal(lines(wanted), lines(made.relup))
  end)

  it("random: is what systools makes of instructions of every form, or refused by both", function()
    local same, refused = 0, 0
    for seed = 1, 24 do
      local case = "random_" .. seed
      local made, message = plan.relup(plans_of(case, { 2 }))
      local wanted = io.open(("%s/%s/relup"):format(folder, case))
      if wanted then
        assert(made, case .. ": " .. tostring(message))
        assert.equal(lines(assert(consult.parse(wanted:read "a"))[1]), lines(made.relup), case)
        wanted:close()
        same = same + 1
      else
        assert.is_nil(made, case)
        refused = refused + 1
      end
    end
    assert.is_true(same >= 15, ("%d same, %d refused"):format(same, refused))
  end)

  for _, case in ipairs { "types", "added", "bad_point", "bad_resume", "bad_module", "bad_twice", "bad_undefined" } do
    it(case .. ": is refused, as by systools", function()
      assert.truthy(io.open(("%s/%s/refused"):format(folder, case)))
      local made, message, code = plan.relup(plans_of(case, { 2 }))
      assert.is_nil(made)
      assert.truthy(code)
      assert.truthy(message:find "^from 2%.0%.0: ", message)
    end)
  end

  it("leads to a release that systools packed, too", function()
    local packed = assert(release.open(folder .. "/loads/x.tar.gz"))
    assert.equal("x 3.0.0 systools", table.concat({ packed.name, packed.version, packed.layout }, " "))
    assert.truthy(packed.boot)
    local from = plans_of("loads", { 2 })[1].old
    local made = assert(plan.relup { assert(plan.compare(from, packed)) })
    -- systools packs no appups.
    assert.equal("generated", made.found_by.shop)
    assert.truthy(lines(made.relup):find('{load_object_code,{shop,"3.0.0",[m_a,m_b,m_c]}}', 1, true))
  end)

  -- Our relup from the bases, and what systools makes of the appups that we generate.
  local function both(case, bases)
    local plans, old = plans_of(case, bases), {}
    local made = assert(plan.relup(plans))
    assert.equal("generated", made.found_by.shop)
    for name, text in pairs(plan.appups(plans)) do
      local file <close> = assert(io.open(("%s/%s/3/lib/%s-3.0.0/ebin/%s.appup"):format(folder, case, name, name), "w"))
      file:write(text)
    end
    for i, base in ipairs(bases) do old[i] = ('"IN/%d/releases/%d.0.0/x"'):format(base, base) end
    local ask = ([[erl -noshell -eval '
      {ok, Relup, _, _} = systools:make_relup("IN/3/releases/3.0.0/x", [OLD], [OLD],
        [{path, ["IN/*/lib/*/ebin"]}, noexec, silent]), io:format("~tp.~n", [Relup]), halt().']])
      :gsub("OLD", table.concat(old, ",")):gsub("IN", ("%s/%s"):format(folder, case))
    return made, assert(consult.parse((process.output(ask))))[1]
  end

  it("generated, from two releases: is what systools makes of the generated appups", function()
    local made, wanted = both("generated_2", { 1, 2 })
    assert.equal(lines(wanted), lines(made.relup))
  end)

  it("generated: is what systools makes of the generated appups", function()
    local made, wanted = both("generated", { 2 })
    assert.equal(lines(wanted), lines(made.relup))
    local script = lines(made.relup)
    for _, part in ipairs { "{code_change,up,[{m_sup,[]}]}", "{code_change,up,[{m_server,[]}]}",
      "{remove,{m_old,brutal_purge,brutal_purge}}", "{apply,{application,start,[new,permanent]}}",
      "{apply,{application,stop,[gone]}}" } do
      assert.truthy(script:find(part, 1, true), part)
    end
  end)
end)
