--- Hot upgrades of live Erlang and Elixir nodes, from outside.
--
-- The facade: connects to nodes, makes sequences, reads relups. Everything else has a module of its own.
--
-- @module edeliver.relup
-- @usage
-- local relup = require "edeliver.relup"
-- local node <close> = assert(relup.connect("myapp@web1"))

local relup = {
  --- Erlang terms as Lua values: `atom`, `tuple`, `charlist`, …
  -- @see edeliver.relup.term
  term = require "edeliver.relup.term",
}

--- Connects to a node.
-- @function connect
-- @see edeliver.relup.node.connect
function relup.connect(name, options) return require("edeliver.relup.node").connect(name, options) end

--- Makes a sequence of steps; raises where their order is wrong, naming both steps and the reason.
-- @function sequence
-- @see edeliver.relup.sequence
function relup.sequence(steps) return require("edeliver.relup.sequence").new(steps) end

--- The step that installs the release; with `release = PATH` it brings that release to the node first, and holds the node against
-- it afterwards.
-- @function install
-- @see edeliver.relup.step.install
-- @see edeliver.relup.deploy.step
function relup.install(options)
  if type(options) == "table" and options.release then return require("edeliver.relup.deploy").step(options) end
  return require("edeliver.relup.step.install").step(options)
end

--- The step that leads back to the release that was deployed over.
-- @function rollback
-- @see edeliver.relup.deploy.rollback
function relup.rollback(options) return require("edeliver.relup.deploy").rollback(options) end

--- A step that waits while the connections live on; or, called with a node, waits at once.
-- @tparam number ms
-- @param[opt] node
function relup.sleep(ms, node)
  if node then return node:sleep(ms) end
  return { name = "sleep_" .. ms, run = function(on_node) return on_node:sleep(ms) end }
end

--- Finds what an accident has left suspended on a node, shows it, and lets it go on; with a journal, what that run owed.
-- @function recover
-- @see edeliver.relup.recover.run
function relup.recover(node, journal, options) return require("edeliver.relup.recover").run(node, journal, options) end

--- Says what an upgrade between two releases is: what changes, whether it is hot, and why.
-- @function plan
-- @see edeliver.relup.plan.compare
function relup.plan(old, new, options) return require("edeliver.relup.plan").compare(old, new, options) end

--- Rolls a release out to many nodes: a canary, batches, health, the way back; or all of them at the same moment.
-- @function rollout
-- @see edeliver.relup.cluster.rollout
function relup.rollout(config) return require("edeliver.relup.cluster").rollout(config) end

--- Reads a file of Erlang terms (relup, appup, rel, app, config).
-- @string path
-- @return[1] the list of its terms
-- @return[2] nil, message with line and column, code
function relup.read(path)
  local file, message = io.open(path, "rb")
  if not file then return nil, message, "system" end
  local text = file:read "a"
  file:close()
  if not text then return nil, path .. " cannot be read", "system" end
  local terms, problem, code = require("edeliver.relup.consult").parse(text)
  if not terms then return nil, path .. ": " .. problem, code end
  return terms
end

--- What is used by some programs only, and loaded when it is first asked for: `relup.lint`, `relup.file`, `relup.consult`.
-- @see edeliver.relup.lint
-- @see edeliver.relup.file
-- @see edeliver.relup.consult
local on_demand = { lint = true, file = true, consult = true }

setmetatable(relup, {
  __index = function(self, name)
    if not on_demand[name] then return nil end
    self[name] = require("edeliver.relup." .. name)
    return self[name]
  end,
})

-- `lua -i -l edeliver.relup` is our own prompt; its arguments stand where a script's would.
if type(arg) == "table" and arg[1] and arg[1]:find "^%-[il]" then
  package.loaded["edeliver.relup"] = relup
  require("edeliver.relup.repl").take_over(arg)
end

return relup
