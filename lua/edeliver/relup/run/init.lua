--- One run of a sequence: begins it, runs its steps, settles what is owed on every way out, reports.
--
-- The journal and the guard on the node hear of everything before it is done. Knows no instruction by name; `sequence` and
-- `sequence.in_relup` say which steps run, and when.
--
-- @classmod edeliver.relup.run

local context = require "edeliver.relup.step.context"
local core = require "edeliver.relup.core"
local escape = require "edeliver.relup.base.escape"
local finish = require "edeliver.relup.run.finish"
local guard = require "edeliver.relup.undo.guard"
local lease = require "edeliver.relup.undo.lease"
local limits = require "edeliver.relup.undo.limits"
local instruction = require "edeliver.relup.instruction"
local journal = require "edeliver.relup.undo.journal"
local attempt = require "edeliver.relup.base.attempt"
local report = require "edeliver.relup.run.report"
local watch = require "edeliver.relup.step.watch"
local term = require "edeliver.relup.term"
local operator = require "edeliver.relup.base.operator"

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
    dry_run = config.dry_run, claim = function() return self:claim() end,
    restarted = function() return self.lease ~= nil and self.lease:look_for_restart() == true end,
    serve = function(name, arguments, place) return self:serve(name, arguments, place) end,
    will_run = function(name)
      for position = self.reached + 1, #self.steps do
        if self.steps[position].name == name then return true end
      end
      return false
    end,
  }
  return self
end

-- Steps --------------------------------------------------------------------------------------------------------------

local function argument_of(step, ctx)
  if step.arguments then return step.arguments(ctx.instructions, ctx.config) end
  return ctx.name and term.atom(ctx.name)
end

local SHOWN = 300 -- bytes of a failure in the log: all of it is in what the run says at its end

-- Remembers how a step ended; the first failure is the run's.
local function record(self, entry, result, message, code, traceback)
  entry.ms = core.now() - self.started - entry.at
  if result == nil or result == false then
    entry.status, entry.message, entry.code = "failed", message or "it gave no result and no message", code or "refused"
    entry.traceback = traceback
    if not self.report.message then
      self.report.message, self.report.code = ("%s failed: %s"):format(entry.name, entry.message), entry.code
    end
    self.ctx:log("error", ("%s failed after %.1f ms: %s"):format(entry.name, entry.ms, escape.shortened(entry.message, SHOWN)),
      entry)
  else
    entry.status, entry.result = "done", result
    local text = type(result) == "string" and ": " .. result or ""
    self.ctx:log("info", ("%s done in %.1f ms%s"):format(entry.name, entry.ms, text), entry)
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
  local result, message, code, traceback = attempt(f, ...)
  record(self, entry, result, message, code, traceback)
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
-- @return[1] what it gave; true where it was skipped
-- @return[2] nil, message, code
function run:step(step, position, argument)
  self.reached = math.max(self.reached, position)
  if is_skipped(self, step) then
    table.insert(self.report.steps, { name = step.name, status = "skipped", at = core.now() - self.started, ms = 0 })
    return true
  end
  return self:perform(step.name, position, function()
    if step.section ~= "resume" then
      local fine, message, code = watch.watch(self.node, self.ctx)
      if not fine then return nil, message, code end
    end
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

--- What is done once all steps have gone well. What fails here undoes none of them: they have done their part.
function run:complete()
  self.reached = 0
  if self.config.dry_run then return true end
  for _, step in ipairs(self.steps) do
    if step.complete and not self:perform(step.name .. " (complete)", 0, step.complete, self.node, self.ctx) then return false end
  end
  return true
end

--- Runs what a relup calls back for: a step of this sequence, or a built-in instruction.
-- @string name
-- @tparam table arguments as the relup has them
-- @string place where in the relup the call stands: "before" the point of no return, "within" the changes, "behind" them
-- @return[1] what the step gave
-- @return[2] nil, message, code
function run:serve(name, arguments, place)
  self.ctx.place = place
  for i, step in ipairs(self.steps) do
    if step.name == name then return self:step(step, i, arguments[1]) end
  end
  if instruction.is_built_in(name) then return self:step(instruction.load(name), 0, arguments[1]) end
  return self:perform(name, 0, function()
    return nil, ("the relup calls for %s, which is no step of this sequence, and no instruction"):format(name), "unknown_step"
  end)
end

-- Beginning ----------------------------------------------------------------------------------------------------------

local function start_guard(self)
  local config, who = self.config, operator.name()
  if config.version then who = ("%s, for %s of %s,"):format(who, config.version, config.name or "a release") end
  self.guard = guard.new(self.node, { who = who, grace = config.grace, lease = config.lease, patience = config.patience })
  local begun, message, code = self.guard:begin()
  if not begun then return nil, message, code end
  local ctx = self.ctx
  self.lease = lease.new {
    node = self.node, guard = self.guard,
    owed = function() return ctx.ledger:suspended(), ctx.ledger.undos end,
    on_restart = function() ctx.ledger:survive_restart() end,
    in_flight = function() return ctx.call ~= nil and not ctx.call:ended() end,
  }
  return true
end

local function open_journal(self)
  local config = self.config
  if config.journal == false then return true end
  local opened, message, code = journal.open(self.node, config.journal, {
    application = config.name, version = config.version, operator = operator.name(), command = config.command,
  })
  if not opened then return nil, message, code end
  self.journal, self.report.journal = opened, opened.path
  self.ctx.ledger:observe(opened:observer())
  return true
end

-- A dry run starts no guard, and is refused where one would not start.
local function see_nobody_is_active(node)
  local found, message, code = guard.who(node)
  if found then return guard.busy(node, found) end
  if found == nil then return nil, message, code end
  return limits.check(node)
end

-- The guard first: a run that it does not take writes into no journal. The journal hears of everything before the guard does.
local function begin(self)
  if self.config.dry_run then return see_nobody_is_active(self.node) end
  local begun, message, code = start_guard(self)
  if begun then begun, message, code = open_journal(self) end
  if not begun then return nil, message, code end
  self.ctx:guarded(self.guard)
  return true
end

--- Starts the guard and opens the journal. From here on signals are errors, and `finish` is owed.
-- @return[1] true
-- @return[2] nil, message, code
function run:begin()
  self.catching = core.catch_signals()
  local began, message, code = attempt(begin, self)
  if began then return true end
  self.report.message, self.report.code = message, code
  self.ctx:log("error", message)
  return nil, message, code
end

-- Ending -------------------------------------------------------------------------------------------------------------

--- Makes sure that we are connected, and that it is we who undo; see `undo.lease`.
-- @return[1] true
-- @return[2] nil, message, code
function run:claim()
  if self.lease then return self.lease:claim() end
  if self.node:is_open() then return true end
  return self.node:reconnect()
end

--- Ends the run, once; see `edeliver.relup.run.finish`.
function run:finish()
  if self.finished then return end
  -- In this order: a signal that comes before they are held back ends this here, and closing the run finishes it.
  local signal = core.block_signals()
  self.finished = true
  finish.finish(self, signal)
end

--- The report of a run that has finished, as `sequence:run` gives it.
function run:outcome()
  local result = self.report
  if result.ok then return result end
  local left = result:left_behind()
  return nil, (result.message or "the run failed") .. (left and ("\n" .. left) or ""), result
end

return run
