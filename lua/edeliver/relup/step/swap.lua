--- The swap, seen from outside: prepared on the node before anything is suspended, armed right before the install, then asked.
--
-- The swap itself is erlang/swap.erl, which says what it answers; the relup calls for it. Knows no websockets and no run.
--
-- @classmod edeliver.relup.step.swap

local fuse = require "edeliver.relup.script.fuse"
local guard = require "edeliver.relup.undo.guard"
local holders = require "edeliver.relup.node.holders"
local shape = require "edeliver.relup.node.shape"
local term = require "edeliver.relup.term"

local swap = {}
swap.__index = swap

local atom, tuple, list, map, charlist = term.atom, term.tuple, term.list, term.map, term.charlist

swap.TIMEOUT, swap.MAX_STAND_STILL = 5000, 10000 -- ms
local PREPARE_TIMEOUT, ASK_TIMEOUT = 300000, 30000 -- ms

-- What swap.erl answers.
local OK = shape.is(atom "ok")
local function is_map(value) return term.kind(value) == "map" end
local HOLDERS = holders.shape
local LINGERING = shape.list(shape.tuple(shape.atom, shape.list(shape.pid)))
local HOLDING = shape.list(shape.tuple(shape.atom, HOLDERS))
local WHO = shape.tuple(shape.is(atom "swap"), shape.atom, shape.list(shape.tuple(shape.atom, shape.list(shape.pid), HOLDERS)))
local LATE = shape.tuple(shape.is(atom "timeout"), shape.any)
local FOUND = shape.list(shape.tuple(shape.integer, is_map))
local HELD = shape.list(shape.tuple(shape.atom, HOLDERS, shape.boolean))
local PREPARED = shape.either(shape.tuple(OK, shape.pid, FOUND), shape.tuple(shape.is(atom "error"), shape.any))
local KIND = shape.either(OK, shape.is(atom "refused"), shape.is(atom "broken"))
local FAILED = shape.list(shape.tuple(shape.atom, shape.pid, shape.any))
local MISSING = shape.list(shape.tuple(shape.atom, shape.any))
local REPORTS = shape.list(shape.tuple(shape.integer, shape.tuple(KIND, shape.any, is_map)))

--- What is loaded, as the node takes it: the module of a version of an application, or of a file of its own.
function swap.code(each)
  if each.path then return tuple { each.module, charlist(each.path) } end
  return tuple { each.module, each.application, charlist(each.version) }
end

-- Stops as the node takes them.
local function terms_of(stops)
  local found = {}
  for i, stop in ipairs(stops) do
    local load, change = {}, {}
    for k, each in ipairs(stop.load) do load[k] = swap.code(each) end
    local paths, starts = {}, {}
    for k, each in ipairs(stop.starts or {}) do starts[k] = tuple { each.application, charlist(each.version), each.type } end
    for k, each in ipairs(stop.paths or {}) do
      paths[k] = each.application and tuple { atom "app", each.application, charlist(each.version) }
        or tuple { charlist(each.from), charlist(each.to) }
    end
    for k, each in ipairs(stop.change) do change[k] = tuple { each.module, atom(each.mode), each.extra } end
    found[i] = map {
      atom "id", stop.id, atom "cancels", stop.cancels, atom "load", list(load), atom "remove", list(stop.remove),
      atom "change", list(change), atom "suspend", list(stop.suspend), atom "paths", list(paths),
      atom "children", stop.children == true, atom "starts", list(starts),
    }
  end
  return list(found)
end

local function pids_in_words(pids)
  local some = {}
  for i = 1, math.min(#pids, 3) do some[i] = tostring(pids[i]) end
  return table.concat(some, ", ") .. (#pids > 3 and (" and %d more"):format(#pids - 3) or "")
end

-- Why the node could not prepare the swap, in words.
local function refusal(node, reason)
  if shape.tuple(shape.is(atom "old_code"), LINGERING)(reason) then
    local words = {}
    for i, row in ipairs(reason[2]) do
      words[i] = ("%s runs old code of %s"):format(pids_in_words(row[2]), term.format(row[1]))
    end
    return ("%s. The next swap would kill it: let it end, and try again. Nothing was changed on %s"):format(
      table.concat(words, "; "), node.name), "old_code"
  elseif shape.tuple(shape.is(atom "old_funs"), HOLDING)(reason) then
    local words = {}
    for i, row in ipairs(reason[2]) do
      words[i] = ("%s has funs of old code of %s"):format(holders.in_words(row[2]), term.format(row[1]))
    end
    return ("%s. The next swap would break them: replace them, and try again. Nothing was changed on %s"):format(
      table.concat(words, "; "), node.name), "old_code"
  elseif shape.is(atom "active")(reason) then
    return ("Another swap is active on %s: `edeliver-relup %s status` shows it. Nothing was changed"):format(
      node.name, node.name), "busy"
  elseif shape.tuple(shape.is(atom "sticky"), shape.atom)(reason) then
    return ("%s belongs to Erlang itself, so it cannot be swapped. Use config.engine = \"otp\", or restart the node"):format(
      term.format(reason[2])), "sticky"
  elseif shape.tuple(shape.is(atom "no_such_file"), shape.any)(reason) then
    return ("%s has no file %s, which the relup loads"):format(node.name, shape.to_text(reason[2]) or term.format(reason[2])),
      "no_such_file"
  end
  return ("%s cannot prepare the new code: %s"):format(node.name, term.format(reason)), "refused"
end

local ROWS = shape.list(shape.tuple(shape.atom, shape.integer))

-- By stop: the processes of the modules that it changes.
local function found_in(stops)
  local found = {}
  for i, stop in ipairs(stops) do
    found[i] = { id = stop[1], modules = stop[2][atom "modules"], processes = {} }
    for _, row in ipairs(ROWS(stop[2][atom "processes"]) and stop[2][atom "processes"] or {}) do
      table.insert(found[i].processes, { module = shape.to_text(row[1]), count = row[2] })
    end
  end
  return found
end

-- Who has funs of code that becomes old. What a process has nobody can renew.
local function funs_in_use(stops)
  local found = {}
  for _, stop in ipairs(stops) do
    for _, row in ipairs(HELD(stop[2][atom "funs"]) and stop[2][atom "funs"] or {}) do
      local renewed = row[3] and #row[2] > 0
      for _, holder in ipairs(row[2]) do renewed = renewed and holder[1] ~= atom "process" end
      found[#found + 1] = { module = shape.to_text(row[1]), who = holders.in_words(row[2]), renewed = renewed }
    end
  end
  return found
end

--- Prepares a swap: reads and prepares the new code and the old, and finds the processes. Changes nothing.
-- @param node
-- @tparam table options `guard` (its pid: the swap ends with it), `token` (what the swap knows us by), `stops` (of
-- `script.fuse`), `timeout` (ms that a process has to answer, 5000), `on_failed` (what becomes of processes whose code_change
-- fails: "rollback", by default, or "restart"), `max_stand_still` (ms that going back may take, 10000), `named` (of
-- `supervision_trees.walk`: those that nothing but their child specs tells)
-- @return[1] swap; `found` is what it has found, by stop: `{ id =, modules = how many, processes = list of { module =,
-- count = } }`;
-- `funs` says who has funs of code that it replaces: a list of
-- `{ module =, who = in words, renewed = whether they will be given the new code's }`
-- @return[2] nil, message, code: "old_code" where processes still run code from before the last upgrade, or have funs of it;
-- "busy" where another swap is at work
function swap.prepare(node, options)
  local answer, message, code = shape.expect(node, "what a swap needs", PREPARED, node:run("swap", {
    Guard = options.guard, Token = options.token, Stops = terms_of(options.stops), Named = options.named or list {},
    Options = map {
      atom "timeout", options.timeout or swap.TIMEOUT, atom "on_failed", atom(options.on_failed or "rollback"),
      atom "max_stand_still", options.max_stand_still or swap.MAX_STAND_STILL,
    },
  }, PREPARE_TIMEOUT))
  if not answer then return nil, message, code end
  if not OK(answer[1]) then return nil, refusal(node, answer[2]) end
  return setmetatable({
    node = node, token = options.token, pid = answer[2], found = found_in(answer[3]), funs = funs_in_use(answer[3]),
  }, swap)
end

-- What lingers of a module, in words.
local function lingering_in_words(row)
  local words = {}
  if #row[2] > 0 then words[1] = ("%s %s it"):format(pids_in_words(row[2]), #row[2] == 1 and "runs" or "run") end
  if #row[3] > 0 then
    words[#words + 1] = ("%s %s funs of it"):format(holders.in_words(row[3]), #row[3] == 1 and "has" or "have")
  end
  return #words > 0 and table.concat(words, ", ") or nil
end

--- The swap that is on a node now, and what it still has to purge.
-- @param node
-- @return[1] `{ status = "prepared" | "armed" | "at work" | "purging", old = list of { module =, pids = a list, why = what is in
-- the way, in words, or nil } }`, or false where there is none
-- @return[2] nil, message, code
function swap.who(node)
  local answer, message, code, reason = node:call("gen_server", "call", { atom(fuse.NAME), atom "who", 15000 }, ASK_TIMEOUT)
  if answer == nil then
    if guard.is_gone(code, reason) then return false end
    if code == "exit" and LATE(reason) then return { status = "at work", old = {} } end
    return nil, message, code
  end
  local known
  known, message, code = shape.expect(node, "what its swap does", WHO, answer)
  if not known then return nil, message, code end
  local found = { status = known[2].name, old = {} }
  for i, row in ipairs(known[3]) do
    found.old[i] = { module = shape.to_text(row[1]), pids = row[2], why = lingering_in_words(row) }
  end
  return found
end

local function ask(self, request, answers)
  return shape.expect(self.node, "a question to the swap", answers,
    self.node:call("gen_server", "call", { self.pid, tuple { self.token, request }, atom "infinity" }, ASK_TIMEOUT))
end

--- From now on the relup's call is meant.
-- @param held a pid set of processes that are suspended already: the swap resumes none of them
-- @tparam[opt] integer at when it is to begin, in us of the node's `erlang:monotonic_time`; no later than two seconds from when
-- it is called for, and at once where that has passed
-- @return[1] true
-- @return[2] nil, message, code
function swap:arm(held, at)
  local answer, message, code = ask(self, tuple { atom "arm", held, at or atom "now" }, OK)
  if answer == nil then return nil, message, code end
  return true
end

--- Lets go of it. What is old is purged by and by, softly, one module at a time, and then it ends.
function swap:leave()
  local answer, message, code = ask(self, atom "leave", OK)
  if answer == nil then return nil, message, code end
  return true
end

local TIMES = { "suspend", "load", "change", "children", "resume", "stand_still" }

local function failures(rows)
  local found = {}
  for i, row in ipairs(FAILED(rows) and rows or {}) do
    found[i] = { module = shape.to_text(row[1]), pid = row[2], reason = row[3] }
  end
  return found
end

-- Microseconds under a name, as ms.
local function ms(report, name)
  local value = report[atom(name)]
  return math.type(value) and value / 1000 or nil
end

--- What came of it.
-- @return[1] a list of `{ id =, outcome = "ok" | "refused" | "broken", reason = a term, restarted = list of { module =, pid =,
-- reason = } that were killed, for their supervisors to start anew, since their code_change failed, was late, or could not be
-- taken back, unchanged = the same of supervisors, which nobody kills, not_started = the same of supervisors that could not
-- start a new child, not_loaded = list of { module =, reason = }, started =, ended = how many children, processes =, suspend =,
-- load =, change =, children =, resume =, stand_still = ms, at = when the new code was loaded, in us of the node's
-- erlang:monotonic_time }`
-- @return[2] nil, message, code
function swap:reports()
  local answer, message, code = ask(self, atom "report", REPORTS)
  if not answer then return nil, message, code end
  local reports = {}
  for i, row in ipairs(answer) do
    local kind, what, report = row[2][1].name, row[2][2], row[2][3]
    local made = { id = row[1], outcome = kind, processes = report[atom "processes"] }
    if kind ~= "ok" then made.reason = what end
    local killed = report[atom "killed"]
    if kind == "ok" then killed = what end
    made.restarted = failures(killed)
    made.unchanged, made.not_started = failures(report[atom "unchanged"]), failures(report[atom "not_started"])
    made.started, made.ended = report[atom "started"] or 0, report[atom "ended"] or 0
    made.not_loaded = {}
    for k, lost in ipairs(MISSING(report[atom "not_loaded"]) and report[atom "not_loaded"] or {}) do
      made.not_loaded[k] = { module = shape.to_text(lost[1]), reason = lost[2] }
    end
    for _, name in ipairs(TIMES) do made[name] = ms(report, name) end
    made.at = math.tointeger(report[atom "at"])
    reports[i] = made
  end
  return reports
end

return swap
