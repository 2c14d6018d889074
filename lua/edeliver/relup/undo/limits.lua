--- Whether a node is far enough from its limits of atoms and processes for a run, which needs some of both.
--
-- It ends where it makes an atom too many, and may end where something on it opens a file, or looks for a node, and can start no
-- process for that.
--
-- @module edeliver.relup.undo.limits

local count = require "edeliver.relup.base.count"
local shape = require "edeliver.relup.node.shape"
local term = require "edeliver.relup.term"

local limits = {}

-- What a run may need of each: the guard's text, what is evaluated meanwhile, what release_handler does.
local NEEDS = {
  { kind = "atom", needs = 1000 },
  { kind = "process", needs = 100 },
}
local INTEGERS = shape.list(shape.integer)

--- Asks the node.
-- @param node
-- @return[1] true, also where the node does not say
-- @return[2] nil, message, "system_limit"
function limits.check(node)
  local items = {}
  for _, limit in ipairs(NEEDS) do
    items[#items + 1] = term.atom(limit.kind .. "_limit")
    items[#items + 1] = term.atom(limit.kind .. "_count")
  end
  local answer = node:map("erlang", "system_info", items)
  if not answer or not INTEGERS(answer) or #answer ~= #items then return true end
  for i, limit in ipairs(NEEDS) do
    local left = answer[2 * i - 1] - answer[2 * i]
    if left < limit.needs then
      return nil, ("%s has room for only %s, and may end when there is none: restart it before it does. Nothing was changed")
        :format(node.name, count.of(left, "more " .. limit.kind)), "system_limit"
    end
  end
  return true
end

return limits
