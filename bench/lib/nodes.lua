--- The nodes of the benches: with room for some million processes, and with the modules of this folder loaded.

local relup = require "edeliver.relup"
local test_node = require "support.node"
local process = require "support.process"

local nodes = {}

local atom = relup.term.atom

--- Starts a node and connects to it.
-- @string name before the @
-- @tparam[opt] table cluster the started node whose cookie it shall have
-- @return the started node, to be stopped, and the connected one
function nodes.start(name, cluster)
  local folder = process.temporary_folder()
  assert(os.execute(("erlc -o %s bench/*.erl"):format(process.quote(folder))))
  local started = test_node.start {
    name = name, cookie = cluster and cluster.cookie, args = { "-pa", folder, "+P", "4000000" },
  }
  local node = assert(relup.connect(started.name, { cookie = started.cookie, epmd_port = started.epmd_port }))
  for module in process.output "ls bench/*.erl":gmatch "([%w_]+)%.erl" do
    assert(node:call("code", "ensure_loaded", { atom(module) })[1] == atom "module")
  end
  process.remove_folder(folder)
  return started, node
end

--- Waits until nothing runs on the node any more: what one way leaves behind is not for the next one to pay.
function nodes.settle(node)
  local waited = 0
  while assert(node:call("erlang", "statistics", { atom "total_active_tasks_all" })) > 1 and waited < 10000 do
    assert(node:sleep(5))
    waited = waited + 5
  end
end

--- Starts processes that can be suspended: the pid set of them.
function nodes.processes(node, count)
  return assert(node:pids(assert(node:call("bulk", "start", { count }, math.huge))))
end

--- Ends them, and waits until they are gone.
function nodes.stop(node, set)
  assert(node:call("bulk", "stop", { set }, math.huge))
  nodes.settle(node)
end

return nodes
