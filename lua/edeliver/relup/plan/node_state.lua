--- What a node says of itself besides what runs on it: room on its disk, its emulator, and who has funs of code that goes.
--
-- Asks, and changes nothing.
--
-- @module edeliver.relup.plan.node_state

local holders = require "edeliver.relup.node.holders"
local shape = require "edeliver.relup.node.shape"
local term = require "edeliver.relup.term"

local node_state = {}

local atom, list, charlist = term.atom, term.list, term.charlist

local TIMEOUT = 60000
local SEARCH = 5000 -- ms for looking who has funs: it reads tables

local ROOM = shape.tuple(shape.either(shape.integer, shape.is(atom "unknown")), shape.list(shape.binary))
local KEPT = shape.list(shape.tuple(shape.atom, shape.atom, shape.integer))
local HELD = shape.list(shape.tuple(shape.atom, holders.holder))

--- The bytes that are free below a folder of the node.
-- @return[1] an integer, or false where the node cannot tell
-- @return[2] nil, message, code
function node_state.free(node, root)
  local answer, message, code = shape.expect(node, "room.erl", ROOM,
    node:run("room", { Root = charlist(root), Paths = list {} }, TIMEOUT))
  if not answer then return nil, message, code end
  return math.type(answer[1]) and answer[1] or false
end

--- The version of the emulator that runs, which a .rel file may not know.
-- @return[1] "13.1.5"
-- @return[2] nil, message, code
function node_state.erts(node)
  local answer, message, code = shape.expect(node, "erlang:system_info", shape.text,
    node:call("erlang", "system_info", { atom "version" }))
  if not answer then return nil, message, code end
  return shape.to_text(answer)
end

--- In whose states values of some structs are.
-- @param node
-- @tparam table names a list of the structs' modules
-- @return[1] a table from a struct's name to a list of `{ module =, count = processes that began with it as their callback }`
-- @return[2] nil, message, code
function node_state.struct_holders(node, names)
  local structs, found = {}, {}
  for i, name in ipairs(names) do structs[i] = atom(name) end
  if #structs == 0 then return found end
  local answer, message, code = shape.expect(node, "struct_holders.erl", KEPT,
    node:run("struct_holders", { Structs = list(structs) }, TIMEOUT))
  if not answer then return nil, message, code end
  for i = 1, #answer do
    local name = term.text(answer[i][1])
    found[name] = found[name] or {}
    table.insert(found[name], { module = term.text(answer[i][2]), count = answer[i][3] })
  end
  return found
end

--- Of which modules somebody has funs, outside of their own code.
-- @param node
-- @tparam table names a list of modules' names
-- @return[1] a list of `{ module =, who = in words }`, sorted
-- @return[2] nil, message, code
function node_state.fun_holders(node, names)
  local modules, found, by_module = {}, {}, {}
  for i, name in ipairs(names) do modules[i] = atom(name) end
  if #modules == 0 then return found end
  local answer, message, code = shape.expect(node, "fun_holders.erl", HELD,
    node:run("fun_holders", { Modules = list(modules), Timeout = SEARCH }, TIMEOUT))
  if not answer then return nil, message, code end
  for i = 1, #answer do
    local name = term.text(answer[i][1])
    by_module[name] = by_module[name] or {}
    table.insert(by_module[name], answer[i][2])
  end
  for name, who in pairs(by_module) do found[#found + 1] = { module = name, who = holders.in_words(who) } end
  table.sort(found, function(a, b) return a.module < b.module end)
  return found
end

return node_state
