--- Recovery: finds what an accident has left suspended on a node, shows it, and resumes it.
--
-- With a journal it undoes what that run still owed, and nothing else. Without one it looks at every process, and at the
-- acceptors of every listener. An active upgrade is left alone; the guard of one that has lost its operator undoes it first.
-- While it looks and acts, recovery has a guard of its own: no upgrade can begin meanwhile.
--
-- @module edeliver.relup.recover

local bulk_result = require "edeliver.relup.node.bulk_result"
local count = require "edeliver.relup.base.count"
local escape = require "edeliver.relup.base.escape"
local guard = require "edeliver.relup.undo.guard"
local journals = require "edeliver.relup.undo.journal"
local journaled_calls = require "edeliver.relup.undo.journaled_calls"
local ledger = require "edeliver.relup.undo.ledger"
local shape = require "edeliver.relup.node.shape"
local term = require "edeliver.relup.term"
local unsettled = require "edeliver.relup.undo.unsettled"
local web = require "edeliver.relup.web"
local operator = require "edeliver.relup.base.operator"

local recover = {}

local atom = term.atom
local FIRST_RESUME, LAST_RESUME, SHOWN = 2000, 10000, 20 -- ms, ms; processes named one by one
local SILENCE, LONGEST = 500, 10000 -- ms: for those that hibernate to answer

-- Is anything active? --------------------------------------------------------------------------------------------------

local OK, FAILED = shape.is(atom "ok"), shape.tuple(shape.is(atom "failed"), shape.integer, shape.integer)
local BUSY = shape.tuple(shape.is(atom "busy"), shape.any)

-- Has a guard without an operator undo everything now, and waits until it is gone. The operator may have come back just then.
local function end_lost_run(node, found, log)
  log("warning", ("The upgrade started by %s has lost its operator. Its guard undoes everything now"):format(found.who))
  local answer, message, code = shape.expect(node, "the guard", shape.either(OK, FAILED, BUSY),
    node:call("gen_server", "call", { atom(guard.NAME), atom "undo", atom "infinity" }, 60000))
  if answer == nil then return nil, message, code end
  if OK(answer) then return true end
  if FAILED(answer) then found.status, found.pids, found.undos = "retries", answer[2], answer[3] end
  return guard.busy(node, found)
end

local LEFT = shape.tuple(shape.is(atom "left"), shape.list(shape.pid), shape.list(
  shape.tuple(shape.atom, shape.atom, shape.list())))

-- Ends a guard that tries again and again, and says what it leaves. It may have undone everything just then, and be gone.
local function end_retries(node, found, log, dry_run)
  if dry_run then
    log("warning", ("The guard that %s has left would be ended: %s and %s could not be undone"):format(found.who,
      count.of(found.pids, "process"), count.of(found.undos, "call")))
    return true
  end
  local answer, message, code, reason = node:call("gen_server", "call", { atom(guard.NAME), atom "give_up" }, guard.TIMEOUT)
  if answer == nil and guard.is_gone(code, reason) then return true end
  if answer == nil then return nil, message, code end
  if not LEFT(answer) then return guard.busy(node, found) end
  log("warning", ("The guard that %s has left was ended: %s and %s are not undone"):format(found.who,
    count.of(#answer[2], "process"), count.of(#answer[3], "call")))
  for i = 1, #answer[3] do
    local call = answer[3][i]
    log("warning", "not undone: " .. journaled_calls.describe { call[1].name, call[2].name, call[3] })
  end
  return true
end

-- Makes an end of a guard that has lost its operator, where that may be done.
local function end_guard(node, found, log, options)
  if found.status == "gone" and not options.dry_run then return end_lost_run(node, found, log) end
  if found.status == "retries" and options.end_guard then return end_retries(node, found, log, options.dry_run) end
  return guard.busy(node, found)
end

-- Sees that nothing is active on the node; a dry run only looks, else a guard of our own keeps it so.
local function hold(node, log, options)
  local found, message, code = guard.who(node)
  if found == nil then return nil, message, code end
  if found then
    local ended
    ended, message, code = end_guard(node, found, log, options)
    if not ended then return nil, message, code end
  end
  local held = setmetatable({}, { __close = function(self) if self.guard then self.guard:leave() end end })
  if not options.dry_run then
    local who = ("%s, for a recovery,"):format(operator.name())
    held.guard, message, code = guard.start(node, { who = who })
    if not held.guard then return nil, message, code end
  end
  return held
end

-- The release handler suspends processes itself.
local function release_handler_rests(node)
  local handler = node:call("erlang", "whereis", { atom "release_handler" })
  if term.kind(handler) ~= "pid" then return true end
  local answer, _, code = node:call("release_handler", "which_releases", {}, 2000)
  if answer ~= nil or code ~= "timeout" then return true end
  return nil, ("release_handler on %s is at work, and may have suspended processes itself. Nothing was changed"):format(
    node.name), "busy"
end

-- What is suspended? ---------------------------------------------------------------------------------------------------

local PIDS = shape.list(shape.pid)

--- Which processes are suspended now, those that hibernate included: they are woken, and asked, all at once.
-- @param node
-- @param[opt] pids among which (default: all processes)
-- @return[1] a pid set
-- @return[2] nil, message, code
function recover.find_suspended(node, pids)
  local suspended, hibernating, code = node:suspended(pids, 30000)
  if not suspended then return nil, hibernating, code end
  if #hibernating == 0 then return suspended end
  local answer, message, why = shape.expect(node, "which processes are suspended", PIDS, node:run("ask_suspended",
    { Pids = hibernating, Silence = SILENCE, Longest = LONGEST }, LONGEST + 30000))
  if not answer then return nil, message, why end
  return suspended:plus(node:pids(answer))
end

local function describe(info)
  if not info then return "dead meanwhile" end
  local name = info.registered_name
  if term.kind(name) == "atom" then return tostring(name) end
  return shape.integer(info.message_queue_len) and ("%d messages wait"):format(info.message_queue_len) or ""
end

local function show(node, found, log)
  if #found == 0 then
    log("info", "No process is suspended")
    return
  end
  log("warning", ("%s %s suspended"):format(count.of(#found, "process"), count.verb(#found, "is", "are")))
  local some = {}
  for i = 1, math.min(#found, SHOWN) do some[i] = found[i] end
  local infos = node:process_info(some, { "registered_name", "message_queue_len" })
  for i, pid in ipairs(some) do log("info", ("  %s %s"):format(tostring(pid), infos and describe(infos[i]) or "")) end
  if #found > SHOWN then log("info", ("  and %d more"):format(#found - SHOWN)) end
end

-- Undoing --------------------------------------------------------------------------------------------------------------

local function resume(node, found)
  local open = found
  for _, timeout in ipairs { FIRST_RESUME, LAST_RESUME } do
    if #open == 0 then break end
    local answer, message, errors = node:bulk_resume(open, timeout)
    if not answer then return nil, message, errors end
    open = bulk_result.sort(open, errors).silent
  end
  return open
end

-- What a run may have left at listeners, as undos.
local function traces(node, anybody_suspended, log)
  local undos = {}
  for _, kind in ipairs(web.kinds) do
    local found, message, code = require("edeliver.relup.web.servers." .. kind).traces(node, anybody_suspended, log)
    if not found then return nil, message, code end
    table.move(found, 1, #found, #undos + 1, undos)
  end
  return undos
end

-- "3 of 3 processes resumed; 1 of 1 call undone"
local function outcome(found, suspended, undos, owed)
  local said = {}
  if found > 0 then said[1] = ("%d of %s resumed"):format(found - suspended, count.of(found, "process")) end
  if undos > 0 then said[#said + 1] = ("%d of %s undone"):format(undos - owed, count.of(undos, "call")) end
  return said[1] and table.concat(said, "; ") or "Nothing to recover"
end

-- Says what was found, does it, says what came of it.
local function act(node, found, undos, dry_run, log)
  show(node, found, log)
  for _, entry in ipairs(undos) do
    log("warning", ("to be undone: %s, by %s"):format(entry.key, entry.shown or journaled_calls.describe(entry.undo)))
  end
  local result = { found = found, undos = #undos, still_suspended = found, still_undone = undos, ok = false }
  if dry_run then return result end
  local silent, message, code = resume(node, found)
  if not silent then return nil, message, code end
  local again = ledger.new(node)
  again.undos = undos
  local undone, problem = again:undo()
  if not undone then log("error", problem) end
  local left
  left, message, code = recover.find_suspended(node, found)
  if not left then return nil, message, code end
  result.still_suspended, result.still_undone = left, again.undos
  result.ok = #left == 0 and #again.undos == 0
  log(result.ok and "info" or "error", outcome(#found, #left, result.undos, #again.undos))
  return result
end

-- Tells the journal what has become of what it owed.
local function close_journal(path, result, log)
  local told, message = journals.settle(path, {
    ok = result.ok, still_suspended = #result.still_suspended, still_undone = #result.still_undone,
  })
  if not told then log("warning", message) end
end

--- Recovers a node.
-- @param node
-- @string[opt] journal the journal of the run that had the accident
-- @tparam[opt] table options `dry_run` (shows only), `log` (a function of level and text; default: prints), `force` (also makes
-- calls from the journal that no step of ours journals), `end_guard` (ends the guard of an earlier run that has lost its operator
-- and tries in vain to undo everything)
-- @return[1] `{ ok =, found = the pid set of those that were suspended, still_suspended = a pid set, undos = how many calls had
-- to be made, still_undone = list of those that could not be, restarted = true where the node has been restarted since }`
-- @return[2] nil, message, code: "busy" while an upgrade or an install is active
function recover.run(node, journal, options)
  options = options or {}
  local log = options.log or function(_, text) print(escape.text(text)) end
  local held <close>, message, code = hold(node, log, options)
  if not held then return nil, message, code end
  local rests
  rests, message, code = release_handler_rests(node)
  if not rests then return nil, message, code end
  local owed, undos
  if journal then
    owed, message, code = unsettled.read(node, journal, options.force, log)
    if not owed then return nil, message, code end
    undos = owed.undos
  end
  local found
  found, message, code = recover.find_suspended(node, owed and owed.pids)
  if not found then return nil, message, code end
  if not owed then
    undos, message, code = traces(node, #found > 0, log)
    if not undos then return nil, message, code end
  end
  local result
  result, message, code = act(node, found, undos, options.dry_run, log)
  if not result then return nil, message, code end
  result.restarted = owed and owed.restarted
  if journal and not options.dry_run then close_journal(journal, result, log) end
  return result
end

return recover
