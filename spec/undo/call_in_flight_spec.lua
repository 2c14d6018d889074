-- A call in flight as a table: what it hears, what it does and is then. Against a fake node and guard; for real in guard_spec,
-- sequence_spec and fault_matrix_spec.

local calls = require "edeliver.relup.undo.call_in_flight"
local core = require "edeliver.relup.core"
local guards = require "edeliver.relup.undo.guard"
local term = require "edeliver.relup.term"

local atom, tuple, list = term.atom, term.tuple, term.list

-- What the guard says to `perform`, `next` and `answer`, in turn; "breaks" breaks the connection.
local OK = { atom "ok" }
local IDLE = { tuple { 0, atom "idle" } }
local function performed(number, result) return { tuple { number, tuple { atom "performed", result } } } end
local function runs(number, place)
  return { tuple { number, tuple { atom "run", number, atom "warm_cache", list { atom "chat" }, atom(place) } } }
end
local VALUE = tuple { atom "value", 42 }
local RAISED = tuple { atom "EXIT", tuple { atom "badarg", list {} } }
local GONE = { nil, "exit", "exit", tuple { atom "noproc", tuple { atom "gen_server", atom "call", list {} } } }
local NO_ROOM = { nil, "exit", "exit", atom "system_limit" }
local LOST = { tuple { atom "lost", "the guard undoes everything by itself" } }
local REFUSED = { tuple { atom "error", atom "performing" } }
local LATE, CUT = { nil, "late", "timeout" }, { nil, "cut", "nodedown", breaks = true }
local INTERRUPTED = { nil, "interrupted by SIGINT", "interrupted" }

-- `says`: the guard's answers, in turn; then the state that the call is in, what `wait` gave (a value, or a code), what the guard
-- was asked, and which events it was told as seen in the end.
local TABLE = {
  { "never begins where the guard cannot be asked", request = { nil, "cut", "nodedown" }, begins = "nodedown", state = "ended",
    asked = { "perform" } },
  { "has not begun where the guard refuses", says = { REFUSED }, code = "guard_refused", state = "ended", asked = { "perform" } },
  { "has not begun where the node has no room", says = { NO_ROOM }, code = "system_limit", state = "ended",
    asked = { "perform" } },
  { "has not begun where the guard undoes already", says = { LOST }, code = "guard_lost", state = "ended",
    asked = { "perform" } },
  { "may have begun where the guard does not answer", says = { LATE }, code = "timeout", state = "asked",
    asked = { "perform" } },
  { "may have begun where a signal comes first", says = { INTERRUPTED }, code = "interrupted", state = "asked",
    asked = { "perform" } },
  { "may run where the guard is gone at once", says = { GONE }, code = "guard_gone", state = "runs", asked = { "perform" } },
  { "has ended with a value", says = { OK, performed(1, VALUE) }, value = 42, state = "ended", seen = 1,
    asked = { "perform", "next" } },
  { "has ended with what it raised", says = { OK, performed(1, RAISED) }, code = "exit", state = "ended", seen = 1,
    asked = { "perform", "next" } },
  { "runs where it is not awaited to its end", says = { OK, LATE }, code = "timeout", state = "runs",
    asked = { "perform", "next" } },
  { "runs where a signal ends the waiting", says = { OK, INTERRUPTED }, code = "interrupted", state = "runs",
    asked = { "perform", "next" } },
  { "runs where the guard dies meanwhile", says = { OK, GONE }, code = "guard_gone", state = "runs",
    asked = { "perform", "next" } },
  { "runs where the guard has taken over meanwhile", says = { OK, LOST }, code = "guard_lost", state = "runs",
    asked = { "perform", "next" } },
  { "serves the relup's calls, and says so to the guard", says = { OK, runs(1, "before"), OK, performed(2, VALUE) }, value = 42,
    state = "ended", seen = 2, asked = { "perform", "next", "answer ok", "next" }, served = { "warm_cache before" } },
  { "lets one fail", says = { OK, runs(1, "before"), { atom "cancelled" }, performed(2, RAISED) }, fails = { "cold" },
    code = "exit", state = "ended", seen = 2, asked = { "perform", "next", "answer failed cold", "next" },
    served = { "warm_cache before" } },
  { "tells apart what the relup does not call for", says = { OK, runs(1, "within"), { atom "too_late" }, performed(2, VALUE) },
    fails = { "who?", "unexpected_call" }, value = 42, state = "ended", seen = 2,
    asked = { "perform", "next", "answer strange who?", "next" }, served = { "warm_cache within" } },
  { "does not count as seen what could not be answered", says = { OK, runs(1, "behind"), LATE }, code = "timeout",
    state = "runs", seen = 0, asked = { "perform", "next", "answer ok" }, served = { "warm_cache behind" } },
  { "goes through a connection that breaks before the guard has confirmed", says = { CUT, performed(1, VALUE) }, claims = 1,
    value = 42, state = "ended", seen = 1, asked = { "perform", "next" } },
  { "goes through one that breaks meanwhile", says = { OK, CUT, performed(1, VALUE) }, claims = 1, value = 42,
    state = "ended", seen = 1, asked = { "perform", "next", "next" } },
  { "goes through one that breaks while a step answers", says = { OK, runs(1, "behind"), CUT, OK, performed(2, VALUE) },
    claims = 1, value = 42, state = "ended", seen = 2, asked = { "perform", "next", "answer ok", "answer ok", "next" },
    served = { "warm_cache behind" } },
  { "is asked about again where the node had no room to pass that on", says = { OK, NO_ROOM, NO_ROOM, performed(1, VALUE) },
    value = 42, state = "ended", seen = 1, asked = { "perform", "next", "next", "next" } },
  { "answers by a bare message where the node has no room for more",
    says = { OK, runs(1, "before"), NO_ROOM, performed(2, RAISED) }, fails = { "cold" }, code = "exit",
    state = "ended", seen = 2, served = { "warm_cache before" },
    asked = { "perform", "next", "answer failed cold", "told", "answer failed cold", "next" } },
  { "never began where a guard that took us back knows of none", says = { CUT, IDLE }, claims = 1, code = "idle",
    state = "ended", asked = { "perform", "next" } },
  { "may run where nobody takes us back", says = { OK, CUT }, code = "guard_lost", state = "runs",
    asked = { "perform", "next" } },
}

-- What may be said of a run that is over and waits: `says` from the time that the call runs.
local OUTLASTS = {
  { "has ended", says = { performed(1, VALUE) }, value = 42, state = "ended" },
  { "fails what the relup asks for", says = { runs(1, "before"), { atom "cancelled" }, performed(2, RAISED) }, code = "exit",
    state = "ended", asked = { "next", "answer failed the run has ended", "next" } },
  { "is asked about again where the guard has taken over", says = { LOST, LOST, IDLE }, code = "idle", state = "ended",
    asked = { "next", "next", "next" } },
  { "is awaited as long where the guard has not confirmed it yet", says = { OK, performed(1, VALUE) }, from = "asked",
    confirms_after = 500, value = 42, state = "ended", asked = { "next" } },
  { "is asked about where a signal came before the request was noted", says = { IDLE }, from = "asked", unnoted = true,
    code = "idle", state = "ended", asked = { "next" } },
  { "is left where somebody says so", says = { LOST, LOST }, stops = 2, code = "timeout", state = "runs" },
  { "has ended where the guard is gone and the probe says so", says = { GONE }, probe = true, code = "idle", state = "ended" },
  { "runs where the guard is gone and the probe says that", says = { GONE }, probe = false, code = "timeout", state = "runs" },
}

describe("call in flight", function()
  local function made(case)
    local asked, position, open = {}, 0, true
    local function say()
      position = position + 1
      local answer = assert((case.says or {})[position], "the guard is asked once too often")
      if answer.breaks then open = false end
      return table.unpack(answer, 1, 4)
    end
    local node = { name = "myapp@web1" }
    function node.is_open() return open end
    function node.request() return true end
    function node.await(_, _, timeout)
      if case.confirms_after and timeout < case.confirms_after then return table.unpack(LATE, 1, 3) end
      return say()
    end
    function node.call() return say() end
    function node.sleep() end
    local guard = setmetatable({ node = node, seen = 0, pid = 1 }, guards)
    -- What it is asked, in words.
    local function note(request)
      local word = request[1].name
      if word == "answer" then
        local outcome = request[3]
        word = word .. " " .. (outcome == atom "ok" and "ok" or outcome[1].name .. " " .. outcome[2])
      end
      asked[#asked + 1] = word
    end
    function guard.request(_, request)
      note(request)
      if request[1] == atom "perform" and case.request then return table.unpack(case.request, 1, 3) end
      return true
    end
    function guard.tell(_, request)
      asked[#asked + 1] = "told"
      note(request)
      return true
    end
    function guard.ask(self, request, _, answers)
      note(request)
      return self:understand(answers, say())
    end
    local claims, served = 0, {}
    local call = calls.new {
      guard = guard, probe = case.probe ~= nil and function() return case.probe end or nil,
      claim = function()
        claims = claims + 1
        if claims > (case.claims or 0) then return nil, "the guard undoes", "guard_lost" end
        open = true
        return true
      end,
      serve = function(name, _, place)
        served[#served + 1] = name .. " " .. place
        if case.fails then return nil, case.fails[1], case.fails[2] end
        return true
      end,
    }
    return call, { asked = asked, guard = guard, served = served, claims = function() return claims end,
      said = function() return position end }
  end

  local function check(case, call, fake, answer, code)
    assert.equal(case.state, call.state)
    assert.same({ case.value, case.code }, { answer, code })
    if case.asked then assert.same(case.asked, fake.asked) end
    assert.same(case.served or {}, fake.served)
    if case.seen then assert.equal(case.seen, fake.guard.seen) end
    assert.equal(#(case.says or {}), fake.said())
    assert.equal(call.state == "ended", call:ended())
  end

  it("has not begun, and so is none that runs", function()
    local call = made {}
    assert.same({ "new", true }, { call.state, call:ended() })
  end)

  for _, case in ipairs(TABLE) do
    it(case[1], function()
      local call, fake = made(case)
      local begun, _, why = call:begin("release_handler", "install_release", { term.charlist "2.0.0" })
      if case.begins then
        assert.same({ nil, case.begins }, { begun, why })
        return check(case, call, fake)
      end
      assert.is_true(begun)
      assert.same({ "asked", false }, { call.state, call:ended() })
      local answer, _, code = call:wait(core.now() + 1000)
      check(case, call, fake, answer, code)
    end)
  end

  for _, case in ipairs(OUTLASTS) do
    it("of a run that is over " .. case[1], function()
      local call, fake = made(case)
      call.name, call.state = "release_handler:install_release", case.from or "runs"
      call.request = case.from == "asked" and not case.unnoted or nil
      fake.guard.TIMEOUT = 50
      local stopped = 0
      local answer, _, code = call:outlast(core.now() + 1000, function(guard_is_gone)
        stopped = stopped + (guard_is_gone and 0 or 1)
        return stopped == case.stops
      end)
      check(case, call, fake, answer, code)
    end)
  end
end)
