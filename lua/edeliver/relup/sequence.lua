--- A sequence of steps around an upgrade: checks their order, runs them, undoes them, reports.
--
-- Whoever was sent a suspend is resumed on every way out: a failing step, an error in a user's step, SIGINT, SIGTERM and
-- SIGHUP, the closing of the Lua state. Knows no instruction by name but `install`.
--
-- @classmod edeliver.relup.sequence

local context = require "edeliver.relup.context"
local core = require "edeliver.relup.core"
local instruction = require "edeliver.relup.instruction"
local ordering = require "edeliver.relup.ordering"
local report = require "edeliver.relup.report"
local term = require "edeliver.relup.term"

local sequence = {}
sequence.__index = sequence

-- Making -------------------------------------------------------------------------------------------------------------

-- A step as it runs: `{ name =, run =, arguments =, prepare =, undo = }`.
local function resolve(step, position)
  if type(step) == "string" then
    if step == "install" then return require("edeliver.relup.install").step() end
    if not instruction.is_built_in(step) then
      error(("step %d: there is no instruction %q"):format(position, step), 3)
    end
    return instruction.load(step)
  end
  if type(step) ~= "table" then error(("step %d is a %s, not a name or a table"):format(position, type(step)), 3) end
  if type(step.name) ~= "string" then error(("step %d has no name"):format(position), 3) end
  if type(step.run) ~= "function" then error(("step %d, %s, has no function run"):format(position, step.name), 3) end
  return step
end

--- Makes a sequence; raises where a step is unknown or the order is wrong, naming both steps and the reason.
-- @tparam table steps names of instructions, `relup.install()`, and tables `{ name =, run = function(node, argument, ctx) … end,
-- after =, before =, because =, undo = function(node, ctx) … end, prepare = function(node, ctx) … end }`
function sequence.new(steps)
  local resolved, named = {}, {}
  for i, step in ipairs(steps) do
    resolved[i] = resolve(step, i)
    named[i] = type(step) == "string" and step or resolved[i]
  end
  if #resolved == 0 then error("a sequence needs at least one step", 2) end
  local right, message = ordering.check(named)
  if not right then error(message, 2) end
  return setmetatable({ steps = resolved, named = named }, sequence)
end

--- Whether a step of that name is among the steps.
function sequence:has(name)
  for _, step in ipairs(self.steps) do
    if step.name == name then return true end
  end
  return false
end

-- Running ------------------------------------------------------------------------------------------------------------

-- Calls a step's function; an error in it becomes nil, message, code.
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

local function run_step(step, node, ctx)
  if not step.run then return true end
  return step.run(node, argument_of(step, ctx), ctx)
end

-- Adds a step to the report before it runs; whoever wants to watch is told.
local function begin(run, name, position)
  local entry = { name = name, status = "not run", at = core.now() - run.started }
  table.insert(run.report.steps, entry)
  if run.ctx.config.on_step then run.ctx.config.on_step(entry, position, #run.steps) end
  return entry
end

local function record(run, entry, started, result, message, code)
  entry.ms = core.now() - started
  if result == nil or result == false then
    entry.status, entry.message, entry.code = "failed", message or "it gave no result and no message", code or "refused"
    run.report.message, run.report.code = ("%s failed: %s"):format(entry.name, entry.message), entry.code
    run.ctx:log("error", ("%s failed after %.1f ms: %s"):format(entry.name, entry.ms, entry.message))
    return false
  end
  entry.status, entry.result = "done", result
  local text = type(result) == "string" and ": " .. result or ""
  run.ctx:log("info", ("%s done in %.1f ms%s"):format(entry.name, entry.ms, text))
  return true
end

-- What can be found wrong before anything is touched.
local function prepare(run)
  for _, step in ipairs(run.steps) do
    if step.prepare then
      local entry, started = begin(run, step.name .. " (prepare)", 0), core.now()
      if not record(run, entry, started, protected(step.prepare, run.node, run.ctx)) then return false end
    end
  end
  return true
end

local function run_steps(run)
  for i, step in ipairs(run.steps) do
    local entry = begin(run, step.name, i)
    run.reached = i
    if not record(run, entry, core.now(), protected(run_step, step, run.node, run.ctx)) then return false end
  end
  return true
end

-- The steps' own undo, last first: only of a run that failed, and of those that were reached.
local function undo_steps(run)
  for i = run.reached, 1, -1 do
    local step = run.steps[i]
    if step.undo then
      local result, message = protected(step.undo, run.node, run.ctx)
      local failed = result == nil and message ~= nil
      table.insert(run.report.undone, step.name .. (failed and (" could not be undone: " .. message) or ""))
    end
  end
end

-- Who of those that never confirmed their resume really sits suspended now.
local function look_again(run, owed)
  local sitting, sleeping = run.node:suspended(owed)
  if not sitting then return owed end
  return sitting:plus(sleeping)
end

local function settle(run)
  local ledger, result = run.ctx.ledger, run.report
  local owed_pids, owed_undos = #ledger:suspended(), #ledger.undos
  if not ledger:is_settled() then
    local settled, message = ledger:settle()
    if owed_pids > #ledger:suspended() then
      table.insert(result.undone, ("%d processes resumed"):format(owed_pids - #ledger:suspended()))
    end
    if owed_undos > #ledger.undos then
      table.insert(result.undone, ("%d calls undone"):format(owed_undos - #ledger.undos))
    end
    if not settled then
      result.message = result.message or message
      local left = look_again(run, ledger:suspended())
      for i, pid in left:iter() do result.still_suspended[i] = pid end
      result.still_undone = ledger.undos
    end
  end
  result.suspended, result.stood_still_ms = ledger.most, ledger.stood_still
  result.stood_still, result.lost = ledger:stood_still_by_pid(), ledger.lost
end

-- The one way out of a run, whatever ended it. Signals wait until it is done.
local function finish(run)
  if run.finished then return end
  run.finished = true
  local signal = core.block_signals()
  if not run.succeeded then protected(undo_steps, run) end
  local settled, message = protected(function()
    settle(run)
    return true
  end)
  if not settled then run.report.message = ("%s; then, while undoing: %s"):format(run.report.message or "", message) end
  local result = run.report
  result.ok = run.succeeded and #result.still_suspended == 0 and #result.still_undone == 0
  if not result.ok then result.code = result.code or (signal and "interrupted") or "suspended" end
  for _, undone in ipairs(result.undone) do run.ctx:log("info", "undone: " .. undone) end
  if run.catching then core.release_signals() end
end

local function check_config(self, config)
  if type(config) ~= "table" then error("run takes a configuration: { name = \"myapp\", version = \"1.4.6\" }", 3) end
  if term.kind(config.name) == "atom" then config.name = config.name.name end
  if config.name ~= nil and type(config.name) ~= "string" then error("config.name is a string or an atom", 3) end
  if self:has "install" and type(config.version) ~= "string" then
    error("the sequence has an install, so config.version must say which version, as a string", 3)
  end
end

--- Runs the steps, in order, on a node. A failing step ends the run: what was done is undone, the last first.
-- @param node
-- @tparam table config `name` (of the application), `version` (where there is an install), `port`, `listener`, `target`, …
-- as the steps want it; `log` (a function of level and text; default: prints), `on_step` (a function of the step's entry in
-- the report, its position and the number of steps, called before it runs)
-- @treturn[1] report what was done
-- @treturn[2] nil
-- @treturn[2] string which step failed, why, and what is still suspended
-- @treturn[2] report
function sequence:run(node, config)
  check_config(self, config)
  local run = { steps = self.steps, node = node, reached = 0, succeeded = false, started = core.now() }
  run.report = report.new { node = node.name, name = config.name, version = config.version, at = os.time() }
  run.ctx = context.new {
    node = node, name = config.name, config = config, logger = config.log, installs = self:has "install",
  }
  local finally <close> = setmetatable({}, { __close = function() finish(run) end }) -- luacheck: ignore finally
  run.catching = core.catch_signals()
  run.succeeded = prepare(run) and run_steps(run)
  finish(run)
  local result = run.report
  if result.ok then return result end
  local left = result:left_behind()
  return nil, (result.message or "the run failed") .. (left and ("\n" .. left) or ""), result
end

return sequence
