local ordering = require "edeliver.relup.sequence.ordering"

local function names_of(steps)
  local names = {}
  for i, step in ipairs(steps) do names[i] = type(step) == "table" and step.name or step end
  return names
end

local PHOENIX = {
  "check_processes_running_old_code", "check_ranch_acceptors", "check_ranch_connections",
  "suspend_ranch_acceptors", "suspend_channels", "finish_running_requests",
  "install",
  "rerun_failed_requests", "resume_channels", "resume_ranch_acceptors",
}

local function without(steps, name)
  local left = {}
  for _, step in ipairs(steps) do
    if step ~= name then left[#left + 1] = step end
  end
  return left
end

local function with(steps, position, step)
  local changed = table.move(steps, 1, #steps, 1, {})
  table.insert(changed, position, step)
  return changed
end

local function swapped(a, b)
  local changed = table.move(PHOENIX, 1, #PHOENIX, 1, {})
  local at = {}
  for i, name in ipairs(changed) do at[name] = i end
  changed[at[a]], changed[at[b]] = b, a
  return changed
end

describe("ordering.check", function()
  it("accepts the order of the phoenix modification", function()
    assert.is_true(ordering.check(PHOENIX))
  end)

  it("accepts an empty sequence, and resumes without their suspends", function()
    assert.is_true(ordering.check {})
    assert.is_true(ordering.check { "resume_channels", "resume_ranch_acceptors" })
  end)

  local CONSTRAINTS = {
    { 1, "check_ranch_acceptors", "install", "changes nothing" },
    { 1, "check_processes_running_old_code", "suspend_channels", "changes nothing" },
    { 2, "suspend_ranch_acceptors", "suspend_channels", "sockets keep connecting" },
    { 3, "suspend_channels", "finish_running_requests", "channels may start requests" },
    { 4, "install", "resume_channels", "wake up in the new code" },
    { 5, "resume_channels", "resume_ranch_acceptors", "never suspended, are resumed too" },
    { 7, "check_ranch_acceptors", "check_ranch_connections", "depends on" },
  }
  for _, constraint in ipairs(CONSTRAINTS) do
    local number, first, second, reason = table.unpack(constraint)
    it(("constraint %d: %s before %s"):format(number, first, second), function()
      local pair = { second, first }
      local sound, message, code = ordering.check(pair)
      -- A pair alone may lack resumes; the order is what is reported first.
      assert.is_nil(sound)
      assert.are.equal("order", code)
      assert.matches(first .. " (step 2) must come before " .. second .. " (step 1)", message, 1, true)
      assert.matches(reason, message, 1, true)
      assert.is_nil(ordering.check(swapped(first, second)))
    end)
  end

  it("constraint 6: wants the resume of every suspend", function()
    for suspend, resume in pairs { suspend_channels = "resume_channels", suspend_ranch_acceptors = "resume_ranch_acceptors" } do
      local sound, message = ordering.check(without(PHOENIX, resume))
      assert.is_nil(sound)
      assert.matches(suspend .. " has no " .. resume, message, 1, true)
    end
  end)

  it("holds a user's step to its own rules, a name or a list of names", function()
    local step = { name = "warm_cache", after = "install", before = { "resume_channels", "resume_ranch_acceptors" } }
    assert.is_true(ordering.check(with(PHOENIX, 8, step)))
    local _, message = ordering.check(with(PHOENIX, 3, step))
    assert.matches("install (step 8) must come before warm_cache (step 3): the step asks for it", message, 1, true)
    _, message = ordering.check(with(PHOENIX, #PHOENIX + 1, { name = "late", before = "resume_channels", because = "I say so" }))
    assert.matches("late (step 11) must come before resume_channels (step 9): I say so", message, 1, true)
  end)

  it("undoes a user's steps in the opposite order", function()
    local steps = {
      { name = "stop_a" }, { name = "stop_b" }, "install",
      { name = "start_a", undoes = "stop_a" }, { name = "start_b", undoes = "stop_b" },
    }
    local _, message = ordering.check(steps)
    assert.matches("start_b (step 5) must come before start_a (step 4)", message, 1, true)
    assert.matches("stop_b was done after stop_a", message, 1, true)
    steps[4], steps[5] = steps[5], steps[4]
    assert.is_true(ordering.check(steps))
  end)

  it("names a step that does not exist", function()
    local _, message, code = ordering.check { "check_ranch_acceptors", "resume_chanels" }
    assert.matches('no step "resume_chanels"', message, 1, true)
    assert.are.equal("order", code)
    _, message = ordering.check { { name = "mine", after = "instal" } }
    assert.matches('mine asks to be before or after "instal", which is no step', message, 1, true)
    _, message = ordering.check { { run = print } }
    assert.matches("step 1 has no name", message, 1, true)
  end)
end)

describe("ordering.sort", function()
  it("leaves what is in order as it is", function()
    assert.are.same(PHOENIX, ordering.sort(PHOENIX))
  end)

  it("puts any shuffle of the phoenix steps into an order that passes the check", function()
    math.randomseed(7)
    for _ = 1, 200 do
      local shuffled = table.move(PHOENIX, 1, #PHOENIX, 1, {})
      for i = #shuffled, 2, -1 do
        local j = math.random(i)
        shuffled[i], shuffled[j] = shuffled[j], shuffled[i]
      end
      local sorted = assert(ordering.sort(shuffled))
      assert.are.equal(#PHOENIX, #sorted)
      assert.is_true(ordering.check(sorted))
    end
  end)

  it("keeps the given order where it may", function()
    local steps = {
      "resume_ranch_acceptors", { name = "a" }, "resume_channels", { name = "b", before = "a" }, { name = "c" },
    }
    assert.are.same({ "resume_channels", "resume_ranch_acceptors", "b", "a", "c" }, names_of(ordering.sort(steps)))
  end)

  it("mirrors suspends where they come to stand", function()
    local steps = {
      { name = "start_a", undoes = "stop_a" }, { name = "start_b", undoes = "stop_b" },
      { name = "stop_b" }, { name = "stop_a", before = "stop_b" },
    }
    assert.are.same({ "stop_a", "stop_b", "start_b", "start_a" }, names_of(ordering.sort(steps)))
  end)

  it("names a cycle with its reasons", function()
    local sorted, message, code = ordering.sort {
      { name = "free" },
      { name = "a", after = "c", because = "of a" },
      { name = "b", after = "a", because = "of b" },
      { name = "c", after = "b", because = "of c" },
      { name = "behind", after = "a" },
    }
    assert.is_nil(sorted)
    assert.are.equal("order", code)
    for _, part in ipairs { "c before a (of a)", "a before b (of b)", "b before c (of c)" } do
      assert.matches(part, message, 1, true)
    end
    assert.is_nil(message:find("behind", 1, true))
    assert.is_nil(message:find("free", 1, true))
  end)
end)
