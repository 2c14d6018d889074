--- A sequence of steps around an upgrade: checks their order, runs them, undoes them, reports.
--
-- What was sent a suspend is resumed on every way out: a failing step, an error in a user's step, SIGINT, SIGTERM, SIGHUP and
-- SIGQUIT, the closing of the Lua state; and by the guard on the node where we are gone ourselves. A step cannot yield: its
-- coroutine might be dropped. Knows no instruction by name but `install`.
--
-- @classmod edeliver.relup.sequence

local core = require "edeliver.relup.core"
local count = require "edeliver.relup.base.count"
local engine = require "edeliver.relup.step.engine"
local instruction = require "edeliver.relup.instruction"
local ordering = require "edeliver.relup.sequence.ordering"
local report = require "edeliver.relup.run.report"
local run = require "edeliver.relup.run"
local term = require "edeliver.relup.term"

local sequence = {}
sequence.__index = sequence

--- The steps by their names, in order.
sequence.__tostring = function(self)
  local names = {}
  for i, step in ipairs(self.steps) do names[i] = step.name end
  return ("sequence of %s: %s"):format(count.of(#names, "step"), table.concat(names, ", "))
end

-- Making -------------------------------------------------------------------------------------------------------------

-- A step as it runs: `{ name =, run =, arguments =, prepare =, undo = }`.
local function resolve(step, position)
  if type(step) == "string" then
    if step == "install" then return require("edeliver.relup.step.install").step() end
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
-- after =, before =, because =, undo = function(node, ctx) … end, prepare = function(node, ctx) … end,
-- complete = function(node, ctx) … end, finally = function(node, ctx) … end, begin = function(node, config) … end }` (`begin`
-- before the run, where the configuration may still change; `prepare` before all steps, `complete` when all have gone well,
-- `finally` last of all, whatever became of the run); one that touches the node through `ctx:suspend` and `ctx:apply` alone may
-- say `dry_run = true`
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

-- The step that installs, or nil.
local function install_of(self)
  for _, step in ipairs(self.steps) do
    if step.name == "install" then return step end
  end
end

-- Running ------------------------------------------------------------------------------------------------------------

local TIMES = { grace = true, lease = true, patience = true }

local function check_config(config, installs)
  if type(config) ~= "table" then error("run takes a configuration: { name = \"myapp\", version = \"1.4.6\" }", 3) end
  if term.kind(config.name) == "atom" then config.name = config.name.name end
  if config.name ~= nil and type(config.name) ~= "string" then error("config.name is a string or an atom", 3) end
  if installs and not installs.begin and type(config.version) ~= "string" then
    error("the sequence has an install, so config.version must say which version, as a string", 3)
  end
  for name in pairs(TIMES) do
    local ms = config[name]
    if ms ~= nil and not (math.type(ms) and ms >= 0 and ms < math.huge) then
      error(("config.%s is a number of milliseconds"):format(name), 3)
    end
  end
  engine.check(config, 3)
end

-- What the steps find out before there is a run, as which version will be installed.
local function begin_steps(self, node, config)
  for _, step in ipairs(self.steps) do
    if step.begin then
      local begun, message, code = step.begin(node, config)
      if not begun then return nil, message, code end
    end
  end
  return true
end

-- A run that never began.
local function refused(node, config, message, code)
  local given = report.new { node = node.name, name = config.name, version = config.version, at = os.time() }
  given.message, given.code, given.dry_run = message, code, config.dry_run or nil
  return nil, message, given
end

-- A run, begun and finished, whatever happens in `body`. It may not yield: nobody finishes a run whose coroutine was dropped.
local function whole(self, node, config, installs, body)
  return core.without_yield(function()
    local this <close> = run.new { steps = self.steps, node = node, config = config, installs = installs }
    this.succeeded = this:begin() and body(this) and this:complete()
    this:finish()
    return this:outcome()
  end)
end

--- Runs the steps, in order, on a node. A failing step ends the run: what was done is undone, the last first.
-- @param node
-- @tparam table config `name` (of the application), `version` (where there is an install), `port`, `listener`, `target`, …
-- as the steps want it; `log` (a function of level and text; default: prints), `on_step` (a function of the step's entry in
-- the report, its position and the number of steps, called before it runs); `journal` (a file, or false for none; default: a new
-- one in the XDG state folder), `command` (a word for the journal: what this is, "upgrade"); `grace` (ms for which the guard on
-- the node waits for us when the connection is lost, before it undoes everything, 5000), `lease` (ms without a sign of life from
-- us after which the connection counts as lost, 15000),
-- `patience` (ms that an install is waited for when the run has failed, or the guard has lost us, before everything is undone
-- in the middle of it, 300000);
-- `engine` ("swap", the default, or "otp": many modules and their processes get new code at once; then `on_failed_code_change`,
-- "rollback" or "restart", `code_change_timeout`, ms that a process has, 5000, and `max_stand_still`, ms that going back may
-- take, 10000, and `rehearse`, of how many processes of each module, or "all", `code_change` is tried before, in a VM beside the
-- node); `dry_run` (all checks, and what would be suspended: nothing is touched)
-- @treturn[1] report what was done
-- @treturn[2] nil
-- @treturn[2] string which step failed, why, and what is still suspended
-- @treturn[2] report
function sequence:run(node, config)
  local installs = install_of(self)
  check_config(config, installs)
  local begun, message, code = begin_steps(self, node, config)
  if not begun then return refused(node, config, message, code) end
  return whole(self, node, config, installs ~= nil, function(this) return this:prepare() and this:all_steps() end)
end

--- Puts the steps into a relup, in order, each by its `modify_relup`: `install` is the place of OTP's own script, and a step of
-- one's own becomes a call of it through the guard.
-- @param relup the term `{Vsn, [{UpFrom, Descr, Up}], [{DownTo, Descr, Down}]}`
-- @tparam table config `name`, and `runtime` ("guard" or "edeliver")
-- @return a new relup
function sequence:patch(relup, config)
  return require("edeliver.relup.sequence.in_relup").patch(self.steps, relup, config)
end

--- Installs a release with the steps inside its relup: patches the relup on the node for the time of the upgrade, lets OTP run
-- it, and serves what it calls for. What fails before the point of no return cancels; what fails after it is reported, and
-- the node goes on: a restart would cost its connections.
-- @param node
-- @tparam table config as `run` takes it
-- @return as `run`
function sequence:install(node, config)
  local installs = install_of(self)
  if installs and installs.begin then error("a deploy goes with run: inside a relup the release must be there already", 2) end
  check_config(config, {})
  if config.engine == "swap" then error("config.engine = \"swap\" goes with run: inside a relup the engine is OTP's", 2) end
  local in_relup = require "edeliver.relup.sequence.in_relup"
  return whole(self, node, config, true, function(this) return in_relup.install(this, self) end)
end

return sequence
