--- The supervision trees of a node, walked as release_handler will walk them in the middle of an install, but beforehand.
--
-- At each `suspend` and `stop` of a relup, release_handler asks every application for its root and every supervisor for its
-- children. A process that cannot answer makes it fail past the point of no return, and the node restarts. Here nobody is asked
-- who might not understand the question. Knows no relup.
--
-- @module edeliver.relup.otp.supervision_trees

local shape = require "edeliver.relup.node.shape"
local term = require "edeliver.relup.term"

local supervision_trees = {}

local TIMEOUT = 30000 -- ms, for all trees
local PATIENCE = 5000 -- ms, for one supervisor: release_handler gives it no longer

-- Why each kind is in the way.
local REASONS = {
  root = "is the root of an application and is no supervisor: start/2 of the application has to return the pid of one",
  supervisor = "is no supervisor, but its child spec says type supervisor: it has to say worker",
  dynamic = "does not answer get_modules, but its child spec says modules dynamic, which is for gen_event: it has to "
    .. "name its module",
  suspended = "is a supervisor that is suspended: resume it (`edeliver-relup NODE stuck` lists who is suspended)",
  silent = "is a supervisor that did not answer for 5 s: find out what it is busy with",
}

local function is_kind(value) return shape.atom(value) and REASONS[value.name] ~= nil end
local FINDING = shape.tuple(is_kind, shape.pid, shape.any, shape.atom, shape.any, shape.any, shape.any)
local WALKED = shape.either(shape.is(term.atom "timeout"),
  shape.tuple(shape.is(term.atom "walked"), shape.integer, shape.integer, shape.list(FINDING),
    shape.list(shape.tuple(shape.atom, shape.pid, shape.pid))))

local UNDEFINED = term.atom "undefined"

-- "counter (<0.5.0>, of chat, child counter of <0.4.0>, module chat_counter)"
local function describe(found)
  local pid, name, application, parent, id, module = found[2], found[3], found[4], found[5], found[6], found[7]
  local words = { ("of %s"):format(application.name) }
  if parent ~= UNDEFINED then words[#words + 1] = ("child %s of %s"):format(term.format(id), tostring(parent)) end
  words[#words + 1] = "started as " .. term.format(module)
  local called = shape.atom(name) and name ~= UNDEFINED and ("%s %s"):format(name.name, tostring(pid)) or tostring(pid)
  return ("%s (%s)"):format(called, table.concat(words, ", "))
end

--- Walks all supervision trees.
-- @param node
-- @tparam[opt] table modules atoms
-- @return[1] how many supervisors there are
-- @return[1] a list of who is in the way, in words, at most ten of them; how many they are; and, as a term, a list of
-- `{Module, Pid, Supervisor}`: the children of these modules, where nothing but their child specs says so
-- @return[2] nil, message, code: "timeout" where the trees could not be walked in time
function supervision_trees.walk(node, modules)
  local answer, message, code = shape.expect(node, "who its supervisors are", WALKED,
    node:run("walk_supervisors", {
      Timeout = TIMEOUT, Patience = PATIENCE, Modules = term.list(modules or {}),
    }, TIMEOUT + PATIENCE))
  if answer == nil then return nil, message, code end
  if answer == term.atom "timeout" then
    return nil, ("The supervision trees of %s could not be walked in %d s"):format(node.name, TIMEOUT // 1000), "timeout"
  end
  local found = {}
  for i, each in ipairs(answer[4]) do found[i] = ("%s %s"):format(describe(each), REASONS[each[1].name]) end
  return answer[2], found, answer[3], answer[5]
end

return supervision_trees
