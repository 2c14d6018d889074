--- Recovery: finds what an accident has left suspended on a node, shows it, and lets it go on.
--
-- With a journal it undoes what that run still owed, and nothing else. Without one it looks at every process, and at the
-- acceptors of every listener. A run that goes on is left alone; one whose operator is gone is ended by its own guard first.
--
-- @module edeliver.relup.recover

local bulk_result = require "edeliver.relup.node.bulk_result"
local core = require "edeliver.relup.core"
local escape = require "edeliver.relup.base.escape"
local guard = require "edeliver.relup.undo.guard"
local journals = require "edeliver.relup.undo.journal"
local journaled_calls = require "edeliver.relup.undo.journaled_calls"
local ledger = require "edeliver.relup.undo.ledger"
local shape = require "edeliver.relup.node.shape"
local term = require "edeliver.relup.term"
local web = require "edeliver.relup.web"

local recover = {}

local atom = term.atom
local FIRST_RESUME, LAST_RESUME, STATUS_TIMEOUT, SHOWN = 2000, 10000, 200, 20 -- ms, ms, ms; processes named one by one

-- Is anybody at it? ----------------------------------------------------------------------------------------------------

local function busy(node, found)
  return nil, ("a run of %s goes on on %s: it resumes what it has suspended"):format(found.who, node.name), "busy"
end

-- Has a guard without an operator undo everything now, and waits until it is gone. The operator may have come back just then.
local function end_lost_run(node, found, log)
  log("warning", ("a run has lost its operator (%s): its guard undoes everything now"):format(found.who))
  local answer, message, code = node:call("gen_server", "call", { atom(guard.NAME), atom "undo", atom "infinity" }, 60000)
  if answer == nil then return nil, message, code end
  if answer ~= atom "ok" then return busy(node, found) end
  return true
end

local function nobody_is_at_it(node, log, dry_run)
  local found, message, code = guard.who(node)
  if found == nil then return nil, message, code end
  if found and found.status == "gone" and not dry_run then return end_lost_run(node, found, log) end
  if found then return busy(node, found) end
  local handler = node:call("erlang", "whereis", { atom "release_handler" })
  if term.kind(handler) == "pid" then
    local answer, _, why = node:call("release_handler", "which_releases", {}, 2000)
    if answer == nil and why == "timeout" then
      return nil, ("release_handler on %s is at work: it may have suspended processes itself"):format(node.name), "busy"
    end
  end
  return true
end

-- Who sits suspended? --------------------------------------------------------------------------------------------------

local PIDS = shape.list(shape.pid)

-- Of those that hibernate only a question tells; it wakes them. Only processes of proc_lib, which all OTP behaviours are,
-- understand it.
local ASK = [=[
  [Pid || Pid <- Pids,
          process_info(Pid, initial_call) =:= {initial_call, {proc_lib, init_p, 5}},
          case catch sys:get_status(Pid, Timeout) of {status, _, _, [_, suspended | _]} -> true; _ -> false end].
]=]

--- Who sits suspended now, those that hibernate included: they are woken, and asked.
-- @param node
-- @param[opt] pids among whom (default: all processes)
-- @return[1] a pid set
-- @return[2] nil, message, code
function recover.find_suspended(node, pids)
  local sitting, sleeping, code = node:suspended(pids, 30000)
  if not sitting then return nil, sleeping, code end
  if #sleeping == 0 then return sitting end
  local timeout = STATUS_TIMEOUT * math.min(#sleeping, 100) + 5000
  local answer, message, why = shape.expect(node, "who sits suspended", PIDS,
    node:eval(ASK, { Pids = sleeping, Timeout = STATUS_TIMEOUT }, timeout))
  if not answer then return nil, message, why end
  return sitting:plus(node:pids(answer))
end

local function describe(info)
  if not info then return "dead meanwhile" end
  local name = info.registered_name
  if term.kind(name) == "atom" then return tostring(name) end
  return shape.integer(info.message_queue_len) and ("%d messages wait"):format(info.message_queue_len) or ""
end

local function show(node, found, log)
  if #found == 0 then
    log("info", "no process sits suspended")
    return
  end
  log("warning", ("%d processes sit suspended"):format(#found))
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
    local answer, count, errors = node:bulk_resume(open, timeout)
    if not answer then return nil, count, errors end
    open = bulk_result.sort(open, errors).silent
  end
  return open
end

-- A journal is a file: what our own steps never journal is made only where the operator says so.
local function only_ours(path, undos)
  local strange = {}
  for _, entry in ipairs(undos) do
    if not entry.ours then strange[#strange + 1] = entry.shown end
  end
  if #strange == 0 then return true end
  return nil, ("%s owes what no step of ours journals: %s. Nothing was done; --force (the option `force`) makes %s"):format(
    path, table.concat(strange, ", "), #strange == 1 and "this call, too" or "these calls, too"), "not_ours"
end

-- What a journal still owes, or nothing where the node has been restarted since.
local function owed_by_journal(node, path, force)
  local state, message, code = journals.read(path)
  if not state then return nil, message, code end
  if not force then
    local fine
    fine, message, code = only_ours(path, state.undos)
    if not fine then return nil, message, code end
  end
  if state.node ~= node.name then
    return nil, ("%s is the journal of a run on %s, not on %s"):format(path, state.node, node.name), "wrong_node"
  end
  local creation, problem, why = node:call("erlang", "system_info", { atom "creation" })
  if creation == nil then return nil, problem, why end
  if creation ~= state.creation then return { pids = core.pids {}, undos = {}, restarted = true } end
  local texts = {}
  for i, text in ipairs(state.pids) do texts[i] = term.charlist(text) end
  local pids
  pids, message, code = shape.expect(node, "erlang:list_to_pid", PIDS, node:map("erlang", "list_to_pid", texts, 30000))
  if not pids then return nil, message, code end
  return { pids = core.pids(pids), undos = state.undos, run = state.run }
end

-- What a run may have left at listeners, whatever they are served by, as undos.
local function traces(node, anybody_suspended, log)
  local undos = {}
  for _, kind in ipairs(web.kinds) do
    local found, message, code = require("edeliver.relup.web.servers." .. kind).traces(node, anybody_suspended, log)
    if not found then return nil, message, code end
    table.move(found, 1, #found, #undos + 1, undos)
  end
  return undos
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
  log(result.ok and "info" or "error", ("%d of %d processes go on; %d of %d calls made that undo things"):format(
    #found - #left, #found, result.undos - #again.undos, result.undos))
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
-- calls from the journal that no step of ours journals)
-- @return[1] `{ ok =, found = the pid set of those that sat suspended, still_suspended = a pid set, undos = how many calls had
-- to be made, still_undone = list of those that could not be, restarted = true where the node has been restarted since }`
-- @return[2] nil, message, code: "busy" while a run or an install goes on
function recover.run(node, journal, options)
  options = options or {}
  local log = options.log or function(_, text) print(escape.text(text)) end
  local free, message, code = nobody_is_at_it(node, log, options.dry_run)
  if not free then return nil, message, code end
  local owed, undos
  if journal then
    owed, message, code = owed_by_journal(node, journal, options.force)
    if not owed then return nil, message, code end
    if owed.restarted then log("info", "the node has been restarted since: nothing of that run is left there") end
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
