--- `supervisor`, as an outside client calls it: thin, named after what it calls.
--
-- Only ever to be asked of processes that their parent types `supervisor`: the question kills many a worker. A supervisor
-- that is suspended does not answer; then the call ends with "timeout".
--
-- @module edeliver.relup.otp.supervisor

local shape = require "edeliver.relup.node.shape"
local term = require "edeliver.relup.term"

local supervisor = {}

local CHILD, NAMES = shape.tuple(shape.any, shape.any, shape.atom, shape.any), shape.list(shape.atom)
local COUNTS = shape.list(shape.tuple(shape.atom, shape.integer))

-- The row `{Id, Pid, Type, Modules}` as a table; no pid where the child does not run.
local function child(row)
  local modules = {}
  if NAMES(row[4]) then
    for i, module in ipairs(row[4]) do modules[i] = module.name end
  end
  return { id = row[1], pid = shape.pid(row[2]) and row[2] or nil, type = row[3].name, modules = modules }
end

-- The answers to one question about each supervisor.
local function ask_all(node, fun, each, supervisors, timeout)
  return shape.expect(node, "supervisor:" .. fun, shape.list(each, #supervisors),
    node:map("supervisor", fun, supervisors, timeout))
end

--- The children of many supervisors, in one call.
-- @param node
-- @tparam table supervisors a list of pids or registered names
-- @tparam[opt] number timeout ms
-- @return[1] for each supervisor, in order, a list of `{ id =, pid =, type = "worker" | "supervisor", modules = { name, … } }`;
-- children of which supervisors of other kinds say something else are passed over
-- @return[2] nil, message, code
function supervisor.which_children(node, supervisors, timeout)
  if #supervisors == 0 then return {} end
  local answer, message, code = ask_all(node, "which_children", shape.list(), supervisors, timeout)
  if not answer then return nil, message, code end
  local found = {}
  for i, rows in ipairs(answer) do
    found[i] = {}
    for _, row in ipairs(rows) do
      if CHILD(row) then table.insert(found[i], child(row)) end
    end
  end
  return found
end

--- How many children many supervisors have, in one call.
-- @return[1] for each, in order, `{ specs =, active =, supervisors =, workers = }`
-- @return[2] nil, message, code
function supervisor.count_children(node, supervisors, timeout)
  local answer, message, code = ask_all(node, "count_children", COUNTS, supervisors, timeout)
  if not answer then return nil, message, code end
  local found = {}
  for i, counts in ipairs(answer) do
    found[i] = {}
    for _, count in ipairs(counts) do found[i][count[1].name] = count[2] end
  end
  return found
end

--- The call, `{ module, fun, arguments }`, that restarts children, each on its own: it can be kept and made later. It
-- answers ok, or `{error, [{Supervisor, Id, Answer}]}`.
-- @param node
-- @tparam table supervisors for each child, its supervisor's pid
-- @tparam table ids of the children
function supervisor.restart_children(node, supervisors, ids)
  local children = {}
  for i, id in ipairs(ids) do children[i] = term.tuple { supervisors[i], id } end
  return node:expression("restart_children", { Children = children })
end

return supervisor
