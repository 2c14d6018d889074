--- Which rollout has a node: its holder lives there from the first look to the last, see erlang/hold_rollout.erl.
--
-- @module edeliver.relup.cluster.hold

local shape = require "edeliver.relup.node.shape"
local term = require "edeliver.relup.term"

local hold = {}

local atom = term.atom
local WHO = shape.tuple(shape.is(atom "rollout"), shape.any)

--- Whose rollout has the node.
-- @return[1] its operator, its id and since when, in words; false where none has it
-- @return[2] nil, message, code
function hold.who(node)
  local holder, message, code = node:call("erlang", "whereis", { atom "edeliver_relup_rollout" })
  if holder == nil then return nil, message, code end
  if holder == atom "undefined" then return false end
  local said
  said, message, code = shape.expect(node, "which rollout has it", WHO,
    node:call("gen_server", "call", { holder, atom "who", 5000 }, 6000))
  if not said then return nil, message, code end
  return term.kind(said[2]) == "binary" and said[2] or "somebody"
end

--- Whether no rollout has the node, for who would change it from elsewhere.
-- @return[1] true
-- @return[2] nil, message, code: "busy" where one has it
function hold.is_free(node)
  local who, message, code = hold.who(node)
  if who == nil then return nil, message, code end
  if not who then return true end
  return nil, ("A rollout has %s: %s. Nothing was changed: wait for its end, or end it by `rollout abort`"):format(node.name,
    who), "busy"
end

return hold
