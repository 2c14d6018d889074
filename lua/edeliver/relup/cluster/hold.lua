--- Which rollout has a node: its holder lives there from the first look to the last, see erlang/hold_rollout.erl.
--
-- @module edeliver.relup.cluster.hold

local shape = require "edeliver.relup.node.shape"
local term = require "edeliver.relup.term"

local hold = {}

local atom = term.atom
local NAME = atom "edeliver_relup_rollout"
local HELD = shape.either(shape.is(atom "ok"), shape.tuple(shape.is(atom "busy"), shape.any))
local WHO = shape.tuple(shape.is(atom "rollout"), shape.any)

local function in_words(who) return term.kind(who) == "binary" and who or "somebody" end

--- Takes the node for a rollout, for as long as we are connected.
-- @param node
-- @string who its operator, its id and since when, in words
-- @return[1] true
-- @return[2] nil, message, code: "busy" where another one has it
function hold.take(node, who)
  local held, message, code = shape.expect(node, "whether another rollout has it", HELD,
    node:run("hold_rollout", { Watched = node:self(), Who = who }))
  if not held then return nil, message, code end
  if held == atom "ok" then return true end
  return nil, ("Another rollout has %s: %s. Nothing was changed"):format(node.name, in_words(held[2])), "busy"
end

--- How many errors the node has logged since it was taken; 0 where nobody counts them.
function hold.errors(node)
  local errors = node:call("gen_server", "call", { NAME, atom "errors", 5000 })
  return math.type(errors) and errors or 0
end

--- Lets go of it.
function hold.leave(node) node:call("gen_server", "call", { NAME, atom "leave", 2000 }) end

--- Whose rollout has the node.
-- @return[1] its operator, its id and since when, in words; false where none has it
-- @return[2] nil, message, code
function hold.who(node)
  local holder, message, code = node:call("erlang", "whereis", { NAME })
  if holder == nil then return nil, message, code end
  if holder == atom "undefined" then return false end
  local said
  said, message, code = shape.expect(node, "which rollout has it", WHO,
    node:call("gen_server", "call", { holder, atom "who", 5000 }, 6000))
  if not said then return nil, message, code end
  return in_words(said[2])
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
