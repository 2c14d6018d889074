--- What a step is given besides the node: the application, the configuration, a log, and acts that are undone on every way
-- out. A sequence makes one for each run; an instruction that is called by hand makes its own.
--
-- @classmod edeliver.relup.step.context

local call_in_flight = require "edeliver.relup.undo.call_in_flight"
local core = require "edeliver.relup.core"
local escape = require "edeliver.relup.base.escape"
local ledger = require "edeliver.relup.undo.ledger"
local attempt = require "edeliver.relup.base.attempt"
local must_not_suspend = require "edeliver.relup.step.must_not_suspend"
local term = require "edeliver.relup.term"

local context = {}
context.__index = context

--- What one part of a run leaves for others in the context: each field has one module that writes it. Nil until then.
--
-- - `site`: what was found of the application's web server
-- - `idle_timeout`: after how many ms of silence it closes a websocket, `math.huge` for never; nil where no websocket is
--   suspended whose client sends heartbeats
-- - `time_was_told`: the operator has been warned of that
-- - `requests_left`: the requests that did not end while they were waited for before the websockets were suspended
-- - `requests_told`: how many requests were sent `upgrade_started`
-- - `would_hide`: a dry run leaves connections in sight of the release handler that a real one hides
-- - `came_from`: the version that ran before an install
-- - `checked_ms`: how long release_handler took to check the install, in ms
-- - `installed_at`: when the install came back, in ms of `core.now`
-- - `after_install`: what became of the suspended while the release was installed, in numbers
-- - `deadline`: until when, as `core.now` counts, somebody waits for the release handler, and for what its relup calls for
-- - `relup`: the one that an install takes, as `otp.relup` reads it
-- - `configuration`: what the applications are configured with inside the script, as `deploy.configuration` holds it
-- - `swap`: the one that is prepared, or false; `swapped`: what it came to, as `step.swap` reports it
-- - `deployed`: a deploy or a rollback, and what came of it; `additions`: what its install does besides the relup
-- - `place`: where the relup's call stands that a step is run for: "before" the point of no return, "within" its changes,
--   "behind" them
-- - `new_emulator`: the emulator was restarted for the install, as was asked for
-- - `returns_to`: the version that a restart of the node returns to, where the installed one is not permanent
context.writers = {
  site = "web", idle_timeout = "instructions.check_ranch_connections", time_was_told = "step.watch",
  requests_left = "instructions.suspend_channels", requests_told = "instructions.finish_running_requests",
  would_hide = "web.servers.cowboy_2",
  after_install = "step.install_outcome", installed_at = "step.install",
  checked_ms = "step.install", deadline = "step.install", relup = "step.install",
  came_from = "step.install",
  place = "run",
  configuration = "deploy", deployed = "deploy", additions = "deploy", swap = "step.install", swapped = "step.install",
  returns_to = "step.install",
  new_emulator = "step.install_outcome",
}

-- In texts of a step's own may stand what a node said.
local function print_line(_, text) print(escape.text(text)) end

--- A context.
-- @tparam table fields `node`, `name` (of the application), and optionally `config`, `logger` (a function of level and text),
-- `installs` (whether a release will be installed meanwhile), `by_hand`, `dry_run` (nothing is done, all is remembered),
-- `claim` (see `ledger.new`), `restarted()` (whether the node has been restarted since the run began), and
-- `serve(name, arguments, place)`, which runs what a relup calls back for, and `will_run(name)`, whether a step of that name is
-- still to come.
function context.new(fields)
  local self = setmetatable(fields, context)
  self.config = self.config or {}
  self.logger = self.logger or print_line
  self.restarted = self.restarted or function() return false end
  self.will_run = self.will_run or function() return false end
  self.by_hand = rawget(fields, "by_hand") == true -- the class has a function of that name
  self.ledger = ledger.new(self.node, {
    -- A dry run hides no connections from the release handler, where the real one would; see web.servers.cowboy_2.
    check = function(pids)
      return must_not_suspend.check(self.node, pids, self.installs and not self.would_hide)
    end,
    claim = self.claim, dry = self.dry_run, log = function(level, text) self:log(level, text) end,
  })
  return self
end

-- An instruction's argument starts with the application's name, or is it.
local function name_in(argument)
  local kind = term.kind(argument)
  if kind == "atom" then return argument.name end
  if kind == "binary" then return argument end
  if kind == "tuple" or kind == "list" then return name_in(argument[1]) end
  return nil
end

--- The context of an instruction that is called by hand: it says what it does, and remembers nothing afterwards.
function context.by_hand(node, argument)
  return context.new { node = node, name = name_in(argument), logger = print_line, by_hand = true }
end

--- Tells the operator something. A log that raises ends no upgrade: standard error has it then.
-- @string level "info", "warning" or "error"
-- @string text
-- @tparam[opt] table entry in the report, of a step that has ended
function context:log(level, text, entry)
  local _, message, code = attempt(function() self.logger(level, text, entry) end)
  if code == "interrupted" then error(message, 0) end
  if code == "lua" then io.stderr:write(("%s (the log failed: %s)\n"):format(text, message:match "^[^\n]*")) end
end

--- Suspends processes that will be resumed on every way out.
-- @param pids
-- @tparam[opt=1000] number timeout ms
-- @return as `node:bulk_suspend`
function context:suspend(pids, timeout) return self.ledger:suspend(pids, timeout) end

--- Resumes everybody that this run has suspended.
-- @tparam[opt=1000] number timeout ms
-- @return as `node:bulk_resume`
function context:resume(timeout) return self.ledger:resume(timeout) end

--- The pid set of those that this run has suspended and not resumed.
function context:suspended() return self.ledger:suspended() end

--- For how long somebody has been suspended by now, in ms; 0 where nobody is.
function context:suspended_for() return self.ledger.still:so_far() end

--- Has the guard make calls on the node, and serves what a relup asks of us meanwhile.
-- @tparam ?table options `before`, `within`, `serve` and `probe` as `undo.call_in_flight` takes them; for when it outlasts the
-- step: `title`, what it is, and `tell(answer, ...)`, what came of it, in words, or nil, message. `self.call` is the last
-- @return something with the `name` and the `call` of a node, for `otp.release_handler`; the node itself where there is no guard
function context:performer(options)
  if not self.guard then return self.node end
  options = options or {}
  return {
    name = self.node.name,
    call = function(_, module, fun, arguments, timeout)
      self.call = call_in_flight.new {
        guard = self.guard, claim = self.claim, before = options.before, within = options.within,
        serve = options.serve or self.serve, probe = options.probe, tell = options.tell, title = options.title,
      }
      local begun, message, code = self.call:begin(module, fun, arguments)
      if not begun then return nil, message, code end
      return self.call:wait(core.now() + (timeout or math.huge))
    end,
  }
end

--- The guard that acts are made under from now on.
function context:guarded(guard)
  self.guard = guard
  self.ledger:observe(guard:observer())
end

--- For how many ms somebody still waits for what the relup calls for; `math.huge` where no install is under way.
function context:time_left() return self.deadline and self.deadline - core.now() or math.huge end

--- Makes calls on the node whose undoing is remembered first; undone by `undo`, or on the way out.
-- @string key
-- @tparam table acts `{ call = { module, fun, arguments }, undo = { module, fun, arguments } }`
-- @return[1] true
-- @return[2] nil, message, code
function context:apply(key, acts) return self.ledger:apply(key, acts) end

--- Writes over a file on the node, in place: owner and mode stay. Undone as `apply` is.
-- @string key
-- @string path
-- @string before what is in it, and is written back
-- @string after what it is to hold
-- @return[1] true
-- @return[2] nil, message, code
function context:overwrite(key, path, before, after)
  local name = term.charlist(path)
  return self:apply(key, { {
    call = { "file", "write_file", { name, after } }, undo = { "file", "write_file", { name, before } },
  } })
end

--- Undoes what was applied under a key, last first.
-- @return[1] true
-- @return[2] nil, message, code
function context:undo(key) return self.ledger:undo(key) end

return context
