--- What is owed to a node: the processes that we asked to suspend, and what else must be undone.
--
-- Everything is written down before it is done, so that it is always known what to undo. Observers hear of
-- each entry before the act (the journal, then the guard); one that fails stops the act. Undoing needs none of them, and works
-- over a connection that broke. Knows no steps and no web servers.
--
-- Its `still` knows how long they stand still (`undo.stand_still`).
--
-- @classmod edeliver.relup.undo.ledger

local bulk_result = require "edeliver.relup.node.bulk_result"
local core = require "edeliver.relup.core"
local counted = require "edeliver.relup.base.count"
local shape = require "edeliver.relup.node.shape"
local stand_still = require "edeliver.relup.undo.stand_still"
local term = require "edeliver.relup.term"
local written_file = require "edeliver.relup.undo.written_file"

local ledger = {}
ledger.__index = ledger

local ROUND, ROUNDS = 1000, 12 -- ms: most answer at once; then the busy ones get their time
local LATE = 30000 -- ms: for what was given up to end

--- An empty ledger.
-- @param node
-- @tparam[opt] table options `check(pids)`: whether they may be suspended (true, or nil, message, code); `claim()`: makes sure
-- that we are connected, and that what we owe is ours to undo (the same); `dry`: nothing is done, all is remembered;
-- `log(level, text)`
function ledger.new(node, options)
  options = options or {}
  return setmetatable({
    node = node, pids = core.pids {}, undos = {}, observers = {}, asked = 0, most = 0, lost = {}, still = stand_still.new(),
    check = options.check, dry = options.dry, log = options.log or function() end,
    claim = options.claim or function() return node:is_open() or node:reconnect() end,
  }, ledger)
end

--- Adds an observer: `observer(event, data)`. Before the act: "suspend" (a pid set), "apply" (a list of entries
-- `{ key =, undo = { module, fun, arguments }, term = the same as {M, F, A} }`); afterwards:
-- "owed" (the pid set of all who are still owed a resume), "undone" (an entry). What it answers to the first two with
-- nil, message, code keeps the act from being done.
function ledger:observe(observer) self.observers[#self.observers + 1] = observer end

-- Nothing is done of which an observer could not hear before.
local BEFORE = { suspend = true, apply = true }

--- Tells the observers of an event. Before an act the first that refuses has the last word; of what is done all are told.
function ledger:tell(event, data)
  for _, observer in ipairs(self.observers) do
    local answer, message, code = observer(event, data)
    if answer == nil and message and BEFORE[event] then return nil, message, code end
  end
  return true
end

--- Everybody who was sent a suspend and has not confirmed a resume.
function ledger:suspended() return self.pids end

--- Whether nothing is owed.
function ledger:is_settled() return #self.pids == 0 and #self.undos == 0 end

-- What was begun and did not come to its end, as when a signal or an error cut us off, is still running on the node.
local function acted(self, answer, ...)
  self.acting = answer == nil
  return answer, ...
end

-- It must not come after what undoes it.
local function end_acts(self)
  if self.acting then self.node:end_acts(LATE) end
  self.acting = false
end

-- Nobody of these was asked, after all.
local function drop(self, pids)
  self.pids = self.pids:minus(pids)
  self.still:take_back(#self.pids == 0)
  self:tell("owed", self.pids)
end

--- `bulk_suspend` of pids that are remembered before they are asked.
-- @return as `node:bulk_suspend`
function ledger:suspend(pids, timeout)
  local asked = core.pids(pids)
  local new = asked:minus(self.pids)
  local fine, message, code = self.node:owns(asked)
  if not fine then return nil, message, code end
  if self.check then
    fine, message, code = self.check(new)
    if not fine then return nil, message, code end
  end
  if not self.dry then
    fine, message, code = self:tell("suspend", asked)
    if not fine then return nil, message, code end
  end
  self.still:begin(new)
  self.pids = self.pids:plus(asked)
  self.asked = math.max(self.asked, #self.pids)
  if self.dry then return "ok" end
  self.acting = true
  local answer, count, errors, sent = acted(self, self.node:bulk_suspend(asked, timeout))
  if answer then self.most = math.max(self.most, #self.pids) end
  if sent == false then drop(self, new) end
  return answer, count, errors, sent
end

-- What undoes something may be done again: over a connection that broke, or where the guard was gone, it is tried once more.
local function again(self, act)
  local answer, message, code, more = act()
  if answer == nil and (code == "fenced" or not self.node:is_open()) and self.claim() then return act() end
  return answer, message, code, more
end

-- Who has confirmed, or is dead, is owed nothing any more.
local function confirm(self, asked, errors)
  local result = bulk_result.sort(asked, errors)
  for _, pid in result.dead:iter() do table.insert(self.lost, pid) end
  self.pids = self.pids:minus(result.done):minus(result.dead)
  self.still:finish(result.done, #self.pids == 0)
  if not self.dry then self:tell("owed", self.pids) end
end

--- `bulk_resume` of everybody remembered. Who has confirmed or is dead is forgotten; the others stay owed.
-- @return as `node:bulk_resume`
function ledger:resume(timeout)
  local asked = self.pids
  if #asked == 0 then return "ok" end
  if self.dry then
    confirm(self, asked)
    return "ok"
  end
  local ours, message, code = self.claim()
  if not ours then return nil, message, code end
  end_acts(self)
  local answer, count, errors, sent = again(self, function() return self.node:bulk_resume(asked, timeout) end)
  if not answer then return nil, count, errors, sent end
  confirm(self, asked, errors)
  return answer, count, errors
end

-- How a call of a node refuses; that something runs already is no refusal.
local REFUSED = shape.either(shape.is(term.atom "error"), shape.tuple(shape.is(term.atom "error"), shape.any))
local RUNNING = shape.tuple(shape.is(term.atom "error"), shape.is(term.atom "running"))

-- Makes a call.
local function make(self, call)
  local module, fun = call[1], call[2]
  self.acting = true
  local answer, message, code, reason = acted(self, self.node:act(module, fun, call[3]))
  if answer == nil then return nil, message, code, reason end
  if REFUSED(answer) and not RUNNING(answer) then
    return nil, ("%s:%s on %s answered %s"):format(module, fun, self.node.name, term.format(answer)), "refused", answer
  end
  return true
end

-- The call `{ module, fun, arguments }` as a term, `{Module, Fun, Arguments}`.
local function call_term(call)
  local arguments = table.move(call[3], 1, #call[3], 1, {})
  return term.tuple { term.atom(call[1]), term.atom(call[2]), term.list(arguments) }
end

--- Makes calls whose undoing is remembered first, all of it before the first call. So an undo may come without its call: it
-- must do no harm then, nor when it comes twice.
-- @string key what they are undone by
-- @tparam table acts `{ call = { module, fun, arguments }, undo = { module, fun, arguments } }`
-- @return[1] true
-- @return[2] nil, message, code
function ledger:apply(key, acts)
  local entries = {}
  for i, act in ipairs(acts) do entries[i] = { key = key, act = act.call, undo = act.undo, term = call_term(act.undo) } end
  if not self.dry then
    local told, message, code = self:tell("apply", entries)
    if not told then return nil, message, code end
  end
  table.move(entries, 1, #entries, #self.undos + 1, self.undos)
  if self.dry then return true end
  for _, act in ipairs(acts) do
    local made, message, code = make(self, act.call)
    if not made then return nil, message, code end
  end
  return true
end

-- What was to be undone is gone: a supervisor that crashed was started anew, a child has no specification any more. Not so with
-- files: their server is gone only for a moment.
local NOPROC = shape.either(shape.is(term.atom "noproc"), shape.tuple(shape.is(term.atom "noproc"), shape.any))
local NOT_FOUND = shape.tuple(shape.is(term.atom "error"), shape.is(term.atom "not_found"))
local function is_gone(code, reason)
  return code == "exit" and NOPROC(reason) or code == "refused" and NOT_FOUND(reason)
end

--- Whether what a call undoes outlives a restart of the node: a file that is written back.
ledger.is_durable = written_file.is_write

-- What is in a file counts, not what a call said of it: an act that failed may have had no effect, a folder may be gone.
local function write_back(self, entry)
  local found = written_file.look(self.node, entry.undo, entry.act)
  if found == "undone" then return true end
  if found == "changed" then
    self.log("warning", ("%s was changed by somebody else meanwhile: it is left as it is"):format(
      term.text(entry.undo[3][1]) or term.format(entry.undo[3][1])))
    return true
  end
  local done, message, code = make(self, entry.undo)
  if done then return true end
  found = written_file.look(self.node, entry.undo)
  if found == "undone" or found == "absent" then return true end
  return nil, message, code
end

local function take_back(self, entry)
  if ledger.is_durable(entry.undo) then return write_back(self, entry) end
  local done, message, code, reason = make(self, entry.undo)
  if done or is_gone(code, reason) then return true end
  return nil, message, code
end

local function undo_one(self, position)
  local entry = self.undos[position]
  if not self.dry then
    local made, message, code = again(self, function() return take_back(self, entry) end)
    if not made then return nil, message, code end
  end
  table.remove(self.undos, position)
  if not self.dry then self:tell("undone", entry) end
  return true
end

--- Undoes what was applied under a key (everything where there is none), last first. What worked is forgotten.
-- @return[1] true
-- @return[2] nil, message, code of the first that did not
function ledger:undo(key)
  local first_message, first_code
  if #self.undos > 0 and not self.dry then
    local ours, message, code = self.claim()
    if not ours then return nil, message, code end
  end
  end_acts(self)
  for i = #self.undos, 1, -1 do
    if key == nil or self.undos[i].key == key then
      local made, message, code = undo_one(self, i)
      if not made then first_message, first_code = first_message or message, first_code or code end
    end
  end
  if first_message then return nil, first_message, first_code end
  return true
end

--- The node was restarted: what was suspended there has ended with it. What is on its disk is still owed.
function ledger:survive_restart()
  self.pids = core.pids {}
  self.still:forget()
  for i = #self.undos, 1, -1 do
    if not ledger.is_durable(self.undos[i].undo) then table.remove(self.undos, i) end
  end
end

--- Forgets everything: the guard has undone it.
function ledger:forget()
  self.pids, self.undos = core.pids {}, {}
  self.still:forget()
end

--- Settles everything, as far as the node lets us: resumes all that are owed it, those that are slow with more patience, then
-- undoes the rest: channels before acceptors.
-- @tparam[opt] function between called after every round in which somebody stayed silent
-- @return[1] true
-- @return[2] nil, message, code; the ledger then still holds what is owed
function ledger:settle(between)
  if self:is_settled() then return true end
  if not self.node:is_open() then
    local open, message, code = self.claim()
    if not open then return nil, message, code end
  end
  local message, code
  local refusals = 0
  for _ = 1, ROUNDS do
    local answer, problem, why = self:resume(ROUND)
    if not answer then message, code, refusals = problem, why, refusals + 1 end
    if #self.pids == 0 or refusals == 2 then break end
    if between then between() end
  end
  local undone, problem, why = self:undo()
  if not undone then message, code = message or problem, code or why end
  if self:is_settled() then return true end
  return nil, message or ("%s not confirmed that %s again"):format(
    counted.of(#self.pids, "process has", "processes have"), counted.verb(#self.pids, "it runs", "they run")), code or "timeout"
end

return ledger
