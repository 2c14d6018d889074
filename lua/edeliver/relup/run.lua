--- One run of a sequence: begins it, runs its steps, settles what is owed on every way out, reports.
--
-- The journal and the guard on the node hear of everything before it is done. Knows no instruction by name; `sequence` and
-- `sequence_in_relup` say which steps run, and when.
--
-- @classmod edeliver.relup.run

local context = require "edeliver.relup.context"
local core = require "edeliver.relup.core"
local guard = require "edeliver.relup.guard"
local instruction = require "edeliver.relup.instruction"
local journal = require "edeliver.relup.journal"
local report = require "edeliver.relup.report"
local term = require "edeliver.relup.term"

local run = {}
run.__index = run
run.__close = function(self) self:finish() end

--- A run that has not begun.
-- @tparam table fields `steps`, `node`, `config`, `installs` (whether a release will be installed)
function run.new(fields)
  local self = setmetatable(fields, run)
  local config = self.config
  self.reached, self.succeeded, self.started = 0, false, core.now()
  self.report = report.new {
    node = self.node.name, name = config.name, version = config.version, at = os.time(), dry_run = config.dry_run or nil,
  }
  self.ctx = context.new {
    node = self.node, name = config.name, config = config, logger = config.log, installs = self.installs,
    dry_run = config.dry_run, come_back = function() return self:come_back() end,
    serve = function(name, arguments) return self:serve(name, arguments) end,
  }
  return self
end

-- Steps --------------------------------------------------------------------------------------------------------------

-- Calls a function of somebody else's; an error in it becomes nil, message, code.
local function protected(f, ...)
  local outcome = table.pack(xpcall(f, function(problem)
    if type(problem) == "string" and problem:find("interrupted by SIG", 1, true) then return problem end
    return debug.traceback(tostring(problem), 2)
  end, ...))
  if outcome[1] then return table.unpack(outcome, 2, math.max(outcome.n, 2)) end
  local message = outcome[2]
  local signal = message:match "interrupted by (SIG%u+)"
  if signal then return nil, "interrupted by " .. signal, "interrupted" end
  return nil, message, "lua"
end

local function argument_of(step, ctx)
  if step.arguments then return step.arguments(ctx.instructions, ctx.config) end
  return ctx.name and term.atom(ctx.name)
end

-- Remembers how a step ended; the first failure is the run's.
local function record(self, entry, result, message, code)
  entry.ms = core.now() - self.started - entry.at
  if result == nil or result == false then
    entry.status, entry.message, entry.code = "failed", message or "it gave no result and no message", code or "refused"
    if not self.report.message then
      self.report.message, self.report.code = ("%s failed: %s"):format(entry.name, entry.message), entry.code
    end
    self.ctx:log("error", ("%s failed after %.1f ms: %s"):format(entry.name, entry.ms, entry.message))
  else
    entry.status, entry.result = "done", result
    local text = type(result) == "string" and ": " .. result or ""
    self.ctx:log("info", ("%s done in %.1f ms%s"):format(entry.name, entry.ms, text))
  end
  if self.journal then
    local took = math.floor(entry.ms * 10) / 10
    self.journal:write("step", { name = entry.name, status = entry.status, took = took, message = entry.message })
  end
end

--- Runs one thing under a name in the report.
-- @string name
-- @tparam integer position among the steps, 0 for what is none of them
-- @param f a function, and its arguments
-- @return what it returned, where it went well; nil, message, code where it didn't
function run:perform(name, position, f, ...)
  local entry = { name = name, status = "not run", at = core.now() - self.started }
  table.insert(self.report.steps, entry)
  local on_step = self.config.on_step
  if on_step then on_step(entry, position, #self.steps) end
  if self.journal then self.journal:write("step", { name = name, status = "begun" }) end
  local result, message, code = protected(f, ...)
  record(self, entry, result, message, code)
  if entry.status == "done" then return result end
  return nil, entry.message, entry.code
end

--- What can be found wrong before anything is touched.
function run:prepare()
  for _, step in ipairs(self.steps) do
    if step.prepare and not self:perform(step.name .. " (prepare)", 0, step.prepare, self.node, self.ctx) then return false end
  end
  return true
end

-- In a dry run those steps run that touch nothing, or act through the context alone.
local function is_skipped(self, step)
  return not step.run or self.config.dry_run and step.section ~= "check" and not step.dry_run
end

--- Runs a step.
-- @tparam table step
-- @tparam integer position
-- @param[opt] argument what the relup gave it; by default what its `arguments` say
function run:step(step, position, argument)
  self.reached = math.max(self.reached, position)
  if is_skipped(self, step) then
    table.insert(self.report.steps, { name = step.name, status = "skipped", at = core.now() - self.started, ms = 0 })
    return true
  end
  return self:perform(step.name, position, function()
    if argument == nil then argument = argument_of(step, self.ctx) end
    return step.run(self.node, argument, self.ctx)
  end)
end

--- Runs all steps, in order, until one fails.
function run:all_steps()
  for i, step in ipairs(self.steps) do
    if not self:step(step, i) then return false end
  end
  return true
end

--- Runs what a relup calls back for: a step of this sequence, or a built-in instruction.
-- @string name
-- @tparam table arguments as the relup has them
-- @return[1] what the step gave
-- @return[2] nil, message, code
function run:serve(name, arguments)
  for i, step in ipairs(self.steps) do
    if step.name == name then return self:step(step, i, arguments[1]) end
  end
  if instruction.is_built_in(name) then return self:step(instruction.load(name), 0, arguments[1]) end
  return self:perform(name, 0, function()
    return nil, ("the relup calls for %s, which is no step of this sequence, and no instruction"):format(name), "unknown_step"
  end)
end

-- Beginning ----------------------------------------------------------------------------------------------------------

local function operator()
  return os.getenv "USER" or os.getenv "LOGNAME" or "an operator"
end

local function begin(self)
  local config, node = self.config, self.node
  local message, code
  if config.dry_run then return true end
  if config.journal ~= false then
    self.journal, message, code = journal.open(node, config.journal, {
      application = config.name, version = config.version, operator = operator(),
    })
    if not self.journal then return nil, message, code end
    self.report.journal = self.journal.path
    self.ctx.ledger:observe(self.journal:observer())
  end
  local who = operator()
  if config.version then who = ("%s, for %s of %s,"):format(who, config.version, config.name or "a release") end
  self.guard, message, code = guard.start(node, { who = who, grace = config.grace, lease = config.lease })
  if not self.guard then return nil, message, code end
  self.ctx.guard = self.guard
  self.ctx.ledger:observe(self.guard:observer())
  return "guarded"
end

--- Opens the journal and starts the guard. From here on signals are errors, and `finish` is owed.
-- @return[1] true
-- @return[2] nil
function run:begin()
  self.catching = core.catch_signals()
  local began, message, code = protected(begin, self)
  if began then return true end
  self.report.message, self.report.code = message, code
  self.ctx:log("error", message)
  return nil, message, code
end

-- Ending -------------------------------------------------------------------------------------------------------------

-- After the connection was lost: back to the node, and to the guard on it.
function run:come_back()
  if self.guard then return self.guard:come_back() end
  if self.node:is_open() then return true end
  return self.node:reconnect()
end

-- The steps' own undo, last first: only of a run that failed, and of those that were reached.
local function undo_steps(self)
  for i = self.reached, 1, -1 do
    local step = self.steps[i]
    if step.undo then
      local result, message = protected(step.undo, self.node, self.ctx)
      local failed = result == nil and message ~= nil
      table.insert(self.report.undone, step.name .. (failed and (" could not be undone: " .. message) or ""))
    end
  end
end

-- Who of those that never confirmed their resume really sits suspended now.
local function look_again(self, owed)
  if not self.node:is_open() then return owed end
  local sitting, sleeping = self.node:suspended(owed)
  if not sitting then return owed end
  return sitting:plus(sleeping)
end

-- Whether the guard undoes, or has undone, what we owe, so that we must not: another run may have begun meanwhile.
local function left_to_guard(self)
  if not self.guard then return false end
  local back, _, code = self.guard:come_back()
  if back then return false end
  if code ~= "guard_lost" and code ~= "guard_gone" then
    self.unreachable = true
    table.insert(self.report.undone, ("nothing from here: %s cannot be reached. The guard there undoes everything %.1f s after "
      .. "it has lost us"):format(self.node.name, self.guard.grace / 1000))
    return true
  end
  local other = guard.who(self.node)
  if not other or other.status == "lost" then return false end
  self.ctx.ledger:forget()
  table.insert(self.report.undone, ("by the guard on the node: all of it. Another run goes on there, of %s: nothing was touched")
    :format(other.who))
  self.guard = nil
  return true
end

local function settle_ledger(self)
  local ledger, result = self.ctx.ledger, self.report
  local owed_pids, owed_undos = #ledger:suspended(), #ledger.undos
  -- Whoever asks once more to be let go is told what there is to wait for.
  local settled, message = ledger:settle(function()
    local signal = core.take_signal()
    if not signal then return end
    self.ctx:log("warning", ("%s: still resuming; suspended on %s are %s"):format(
      signal, self.node.name, tostring(ledger:suspended())))
  end)
  if owed_pids > #ledger:suspended() then
    table.insert(result.undone, ("%d processes resumed"):format(owed_pids - #ledger:suspended()))
  end
  if owed_undos > #ledger.undos then
    table.insert(result.undone, ("%d calls undone"):format(owed_undos - #ledger.undos))
  end
  if not settled then result.message = result.message or message end
end

local function settle(self)
  local ledger, result = self.ctx.ledger, self.report
  if self.config.dry_run then
    result.would_suspend = ledger:suspended()
    ledger:forget()
  elseif not ledger:is_settled() and not left_to_guard(self) then
    settle_ledger(self)
  end
  if not ledger:is_settled() then
    for i, pid in look_again(self, ledger:suspended()):iter() do result.still_suspended[i] = pid end
    result.still_undone = ledger.undos
  end
  result.after_install = self.ctx.memory.after_install
  result.suspended, result.stood_still_ms = ledger.most, ledger.stood_still
  result.stood_still, result.lost = ledger:stood_still_by_pid(), ledger.lost
  return true
end

-- Over a connection that was lost while nothing was owed, the guard is told that its operator is back, to be told to go.
local function dismiss(the_guard)
  if the_guard.node:is_open() or the_guard:come_back() then the_guard:leave() end
end

-- What is left to be said, to the guard, the journal and the operator.
local function conclude(self, signal)
  local result = self.report
  result.ok = self.succeeded and #result.still_suspended == 0 and #result.still_undone == 0
  if not result.ok then result.code = result.code or (signal and "interrupted") or "suspended" end
  for _, undone in ipairs(result.undone) do self.ctx:log("info", "undone: " .. undone) end
  if self.guard and not self.unreachable then protected(dismiss, self.guard) end
  if self.journal then
    local written, message = self.journal:close {
      ok = result.ok, message = result.message, still_suspended = #result.still_suspended, still_undone = #result.still_undone,
    }
    if not written then self.ctx:log("warning", message) end
  end
end

--- The one way out of a run, whatever ended it. Signals wait until it is done. May be called twice.
function run:finish()
  if self.finished then return end
  self.finished = true
  local signal = core.block_signals()
  if not self.succeeded then protected(undo_steps, self) end
  local settled, message = protected(settle, self)
  if not settled then self.report.message = ("%s; then, while undoing: %s"):format(self.report.message or "", message) end
  protected(conclude, self, signal)
  if self.catching then core.release_signals() end
end

--- The report of a run that has finished, as `sequence:run` gives it.
function run:outcome()
  local result = self.report
  if result.ok then return result end
  local left = result:left_behind()
  return nil, (result.message or "the run failed") .. (left and ("\n" .. left) or ""), result
end

return run
