-- Accidents to an install by the swap, on a real release with open sockets: before the stop, in it, and while it purges. All is
-- new or all is old, nobody stays suspended, the relup on the node is as it was, and the swap ends by itself.

local process = require "support.process"
local relup = require "edeliver.relup"
local scenes = require "support.scene"

local GRACE, SOCKETS = scenes.GRACE, 60
local ACCEPTORS_STOPPED, CHANNELS_SUSPENDED, INSTALLED, CHANNELS_RESUMED = 4, 5, 7, 9
local note = scenes.note

describe("an accident to a swap", function()
  local scene

  setup(function() scene = scenes.start { sockets = SOCKETS, next = { "2.1.0" } } end)
  before_each(function() scene = scene:fit() end)
  teardown(function()
    scene:stop()
    scenes.print_table()
  end)

  local function operate(options) return scene:operate(setmetatable({ engine = "swap" }, { __index = options })) end

  -- Nothing is left of it, and that version runs.
  local function check(version, fault, where, outcome)
    local ms = scene:wait_until_clean(GRACE)
    assert.equal(scene.creation, scene:creation_now())
    assert.equal(version, scene:current())
    scene:check_served(version)
    assert.equal(scene.relup_first, scene:relup())
    scene:wait_until_swap_is_gone(10000)
    note(fault, where, outcome, ms)
  end

  for _, case in ipairs {
    { ACCEPTORS_STOPPED, "prepared" }, { CHANNELS_SUSPENDED, "channels suspended" }, { INSTALLED, "purging" },
    { CHANNELS_RESUMED, "channels resumed" },
  } do
    local position, where = table.unpack(case)

    for _, fault in ipairs { "kill", "term", "error" } do
      it(("%s, %s"):format(where, fault), function()
        local operator = operate { fault = fault, after = position }
        local _, printed = operator:wait()
        assert.matches("at the fault", printed)
        check(position >= INSTALLED and operator.version or operator.before, fault, where, fault)
      end)
    end

    it(where .. ", the connection is cut", function()
      local between = scene:between()
      local operator = operate { fault = "listen", after = position, port = between.port }
      operator:at_the_fault()
      between:cut()
      local _, printed = operator:wait()
      between:heal()
      assert.matches("failed nodedown", printed)
      check(position >= INSTALLED and operator.version or operator.before, "cut", where, "failed nodedown")
    end)

    it(where .. ", the guard is killed", function()
      local operator = operate { fault = "ask", after = position }
      operator:at_the_fault()
      scene:kill_guard()
      operator:go()
      local _, printed = operator:wait()
      local now = scene:current()
      assert.equal(position >= INSTALLED and operator.version or operator.before, now)
      check(now, "guard killed", where, printed:match "\n(failed [%l_]+)" or "ok")
    end)
  end

  describe("in the middle of the stop", function()
    -- A process that the swap suspends and that does not answer, until `go`, but not for so long that the swap gives it up.
    local function hold()
      scene.release:eval [[
        Asks = self(),
        spawn(fun() ->
          register(holder, self()), true = erlang:suspend_process(whereis(chat_counter)), Asks ! held,
          receive go -> ok after 4500 -> ok end
        end),
        receive held -> ok end]]
    end

    local function go() scene.release:eval "catch holder ! go" end

    local function held_operator(options)
      hold()
      options.fault, options.after = "none", 0
      local operator = operate(options)
      assert.is_truthy(process.wait_until(function()
        return scene.release:eval "process_info(whereis(edeliver_relup_swap), priority)" == "{priority,high}"
      end, 10000), "the swap has not begun")
      return operator
    end

    for _, signal in ipairs { "KILL", "TERM", "STOP" } do
      it("SIG" .. signal, function()
        local operator = held_operator { lease = signal == "STOP" and 400 or nil }
        operator.process:signal(signal)
        process.sleep(signal == "STOP" and 900 or 100)
        go()
        if signal == "STOP" then
          process.sleep(500)
          operator.process:signal "CONT"
        end
        operator:wait()
        check(operator.version, "SIG" .. signal, "in the stop", signal)
      end)
    end

    it("the connection is cut", function()
      local between = scene:between()
      local operator = held_operator { port = between.port }
      between:cut()
      process.sleep(GRACE + 300)
      go()
      local _, printed = operator:wait()
      between:heal()
      check(operator.version, "cut", "in the stop", printed:match "\n(failed [%l_]+)" or "ok")
    end)

    it("the guard is killed", function()
      local operator = held_operator {}
      scene:kill_guard()
      process.sleep(100)
      go()
      local _, printed = operator:wait()
      check(operator.version, "guard killed", "in the stop", printed:match "\n(failed [%l_]+)" or "ok")
    end)

    it("the guard and the operator are killed", function()
      local operator = held_operator {}
      scene:kill_guard()
      operator.process:signal "KILL"
      process.sleep(100)
      go()
      operator:wait()
      scene:wait_until_swap_is_gone(10000)
      -- Nobody is left to undo but the journal, and the next upgrade says so.
      local _, printed = operate({ fault = "none", after = 0, version = operator.version }):wait()
      assert.matches("failed already", printed)
      assert(relup.recover(scene.node, operator.journal, { log = function() end }))
      check(operator.version, "guard and operator killed", "in the stop", "recovered")
    end)
  end)
end)
