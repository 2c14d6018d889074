--- `application`, as an outside client calls it: thin, named after what it calls.
--
-- @module edeliver.relup.otp.application

local shape = require "edeliver.relup.node.shape"
local term = require "edeliver.relup.term"

local application = {}

local MODULES = shape.either(
  shape.is(term.atom "undefined"), shape.tuple(shape.is(term.atom "ok"), shape.list(shape.atom)))
local RUNNING = shape.list(shape.tuple(shape.atom, shape.any, shape.any))

--- The modules of an application.
-- @param node
-- @string name
-- @return[1] a list of atoms
-- @return[2] nil, message, code
function application.modules(node, name)
  local answer, message, code = shape.expect(node, "application:get_key", MODULES,
    node:call("application", "get_key", { term.atom(name), term.atom "modules" }))
  if not answer then return nil, message, code end
  if answer == term.atom "undefined" then
    return nil, ("%s has no application %s loaded"):format(node.name, name), "no_application"
  end
  return answer[2]
end

--- Whether an application runs.
-- @return[1] boolean
-- @return[2] nil, message, code
function application.is_running(node, name)
  local answer, message, code = shape.expect(node, "application:which_applications", RUNNING,
    node:call("application", "which_applications", {}))
  if not answer then return nil, message, code end
  for _, row in ipairs(answer) do
    if row[1].name == name then return true end
  end
  return false
end

return application
