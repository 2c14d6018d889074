local instruction = require "edeliver.relup.instruction"
local insert_instruction = require "edeliver.relup.insert_instruction"
local consult = require "edeliver.relup.consult"
local term = require "edeliver.relup.term"

local function parse(text) return assert(consult.parse(text .. "."))[1] end

local function value(up, down)
  return {
    up_instructions = parse(up), down_instructions = parse(down or "[]"), up_version = "2", down_version = "1",
    changed_modules = {},
  }
end

describe("instruction.define", function()
  it("gives the defaults", function()
    local mine = instruction.define { name = "warm_cache" }
    assert.are.equal(parse "[]", mine.arguments(value "[]", {}))
    assert.are.same({}, mine.dependencies())
    assert.are.equal(insert_instruction.append, mine.insert_where())
    assert.are.equal(parse "{apply,{gen_server,call,[edeliver_relup,{run,warm_cache,[[]]},infinity]}}", mine.call_this())
    local changed = mine.modify_relup(value "[point_of_no_return]", { name = "myapp" })
    assert.are.equal(parse "[point_of_no_return,{apply,{gen_server,call,[edeliver_relup,{run,warm_cache,[[]]},infinity]}}]",
      changed.up_instructions)
  end)

  it("calls a module of the release where the runtime is edeliver", function()
    local mine = instruction.define { name = "warm_cache", module = "Elixir.MyApp.WarmCache" }
    local config = { name = "myapp", runtime = "edeliver" }
    assert.are.equal(parse "{apply,{'Elixir.MyApp.WarmCache',run,[x]}}", mine.call_this(term.atom "x", config))
    local changed = mine.modify_relup(
      value("[point_of_no_return,{apply,{'Elixir.MyApp.WarmCache',run,[[]]}},{add_module,'Elixir.MyApp.WarmCache'}]"), config)
    assert.are.equal(parse "{add_module,'Elixir.MyApp.WarmCache'}", changed.up_instructions[2])
  end)

  it("moves the modules that an instruction depends on, and its own, before it", function()
    local mine = instruction.define {
      name = "mine", module = "m", dependencies = function() return { "check_ranch_acceptors", term.atom "other" } end,
    }
    local ACCEPTORS = "'Elixir.Edeliver.Relup.Instructions.CheckRanchAcceptors'"
    local changed = mine.modify_relup(
      value("[{apply,{m,run,[[]]}},{add_module,other},{add_module,m},{add_module," .. ACCEPTORS .. "}]",
        "[{delete_module,other},{delete_module,m}]"), { name = "x", runtime = "edeliver" })
    local texts = term.format(changed.up_instructions)
    assert.is_true(texts:find("add_module,m}", 1, true) < texts:find("apply", 1, true))
    assert.is_true(texts:find("add_module,other", 1, true) < texts:find("apply", 1, true))
    assert.is_true(texts:find("add_module,'Elixir", 1, true) < texts:find("apply", 1, true))
    assert.are.equal(parse "[{apply,{m,run,[[]]}},{delete_module,other},{delete_module,m}]",
      term.list { changed.down_instructions[1], table.unpack(changed.down_instructions, 2) })
  end)

  it("raises for the caller's mistakes", function()
    assert.has_error(function() instruction.define {} end, "an instruction needs a name")
    local mine = instruction.define { name = "mine" }
    assert.has_error(function() mine.call_this(nil, { runtime = "edeliver" }) end)
    assert.has_error(function() mine.call_this(nil, { runtime = "other" }) end,
      'the runtime is "guard" or "edeliver", not "other"')
    assert.has_error(function() mine.modify_relup(parse "[]", {}) end, "modify_relup takes an instructions value")
    assert.has_error(function() instruction.load "frobnicate" end, 'there is no instruction "frobnicate"')
    assert.has_error(function() instruction.application_name({}, {}) end)
  end)

  it("takes the application's name as an atom or a string", function()
    assert.are.equal(term.atom "myapp", instruction.application_name({}, { name = "myapp" }))
    assert.are.equal(term.atom "myapp", instruction.application_name({}, { name = term.atom "myapp" }))
  end)
end)

describe("the built-in instructions", function()
  local SECTIONS = {
    check = { "check_processes_running_old_code", "check_ranch_acceptors", "check_ranch_connections" },
    suspend = { "suspend_ranch_acceptors", "suspend_channels", "finish_running_requests", "sleep" },
    upgrade = {
      "soft_purge", "suspend_app_processes", "reload_modules", "code_change_on_app_processes", "resume_app_processes",
    },
    resume = { "rerun_failed_requests", "resume_channels", "resume_ranch_acceptors" },
  }

  it("are 17, each with all functions, in the section that it belongs to", function()
    assert.are.equal(17, #instruction.names)
    for _, name in ipairs(instruction.names) do
      local found = instruction.load(name)
      assert.are.equal(name, found.name)
      for _, method in ipairs { "arguments", "call_this", "dependencies", "insert_where", "modify_relup" } do
        assert.is_function(found[method], name .. "." .. method)
      end
      assert.matches("^Elixir%.Edeliver%.Relup%.Instructions%.%u%a+$", found.module)
    end
    for section, names in pairs(SECTIONS) do
      for _, name in ipairs(names) do assert.are.equal(section, instruction.load(name).section) end
    end
  end)

  it("depend on instructions that there are", function()
    for _, name in ipairs(instruction.names) do
      for _, dependency in ipairs(instruction.load(name).dependencies()) do
        assert.is_true(instruction.is_built_in(dependency))
      end
    end
  end)

  -- edeliver's clauses for `load_module` and `remove` put brutal_purge back where it was.
  it("soft_purge changes load_module and remove too, unlike edeliver", function()
    local soft_purge = instruction.load "soft_purge"
    local changed = soft_purge.modify_relup(value [[[{load_module,m,brutal_purge,brutal_purge,[]},
      {remove,{m,brutal_purge,soft_purge}},{load,{m,brutal_purge,brutal_purge}},{update,m,soft,brutal_purge,brutal_purge,[]},
      {update,m,1,soft,brutal_purge,soft_purge,[]},{update,m,static,1,soft,brutal_purge,soft_purge,[]},
      {load,{m,soft_purge,brutal_purge}},{load,brutal_purge},{apply,{m,brutal_purge,[brutal_purge]}}] ]])
    assert.are.equal(parse [[[{load_module,m,soft_purge,brutal_purge,[]},
      {remove,{m,soft_purge,soft_purge}},{load,{m,soft_purge,brutal_purge}},{update,m,soft,soft_purge,brutal_purge,[]},
      {update,m,1,soft,soft_purge,soft_purge,[]},{update,m,static,1,soft,soft_purge,soft_purge,[]},
      {load,{m,soft_purge,brutal_purge}},{load,brutal_purge},{apply,{m,brutal_purge,[brutal_purge]}}] ]], changed.up_instructions)
  end)

  it("check_processes_running_old_code asks about all modules that the upgrade loads", function()
    local found = instruction.load "check_processes_running_old_code".arguments(
      value '[{load_object_code,{a,"1",[m,n]}},point_of_no_return,{load_object_code,{b,"1",[o]}}]')
    assert.are.equal(parse "[m,n,o]", found)
  end)

  it("finish_running_requests waits 500 ms", function()
    assert.are.equal(parse "{myapp,500}",
      instruction.load "finish_running_requests".arguments(value "[]", { name = "myapp" }))
  end)

  describe("run by hand or in a sequence:", function()
    local function recorder(fields)
      local ctx = fields or {}
      ctx.lines = {}
      function ctx:log(level, text) self.lines[#self.lines + 1] = level .. ": " .. text end
      function ctx:time_left() return self.left or math.huge end
      return ctx
    end

    it("info says its message", function()
      local ctx = recorder()
      assert.is_true(instruction.load "info".run(nil, "hello", ctx))
      assert.are.same({ "info: hello" }, ctx.lines)
    end)

    it("start_section says edeliver's texts", function()
      local ctx = recorder { config = { version = "1.4.6" } }
      local start_section = instruction.load "start_section"
      assert.is_true(start_section.run(nil, "resume", ctx))
      assert.are.same({
        "info: ---> Upgrade to version 1.4.6 succeeded.", "info: ==> Resuming node after upgrade to version 1.4.6...",
      }, ctx.lines)
      assert.has_error(function() start_section.run(nil, "lunch", ctx) end)
      assert.has_error(function() start_section.modify_relup(value "[]", { name = "a" }, "lunch") end)
    end)

    it("sleep counts down, and lets the node live meanwhile", function()
      local ctx, slept = recorder(), 0
      local node = { sleep = function(_, ms) slept = slept + ms return true end }
      assert.is_true(instruction.load "sleep".run(node, 2, ctx))
      assert.are.equal(2000, slept)
      assert.are.same({ "info: Waiting 2 seconds...", "info: Waiting 1 second...", "info: Waited 2 seconds." }, ctx.lines)
    end)

    it("sleep waits for no longer than somebody waits for it, nor for ages, nor for what is no number", function()
      local ctx = recorder { left = 2500 }
      local node = { sleep = function(_, ms) ctx.left = ctx.left - ms return true end }
      local sleep = instruction.load "sleep"
      local answer, message, code = sleep.run(node, 20, ctx)
      assert.same({ nil, "timeout" }, { answer, code })
      assert.matches("gave up waiting 18 seconds early", message)
      for _, seconds in ipairs { 301, -1, 1.5, "5", term.atom "long" } do
        assert.equal("badarg", select(3, sleep.run(node, seconds, ctx)))
      end
      local lost = { sleep = function() return nil, "gone", "nodedown" end }
      assert.equal("nodedown", select(3, sleep.run(lost, 2, recorder())))
    end)

    it("markers and soft_purge do nothing, well", function()
      for _, name in ipairs(SECTIONS.upgrade) do assert.is_true(instruction.load(name).run()) end
    end)
  end)
end)
