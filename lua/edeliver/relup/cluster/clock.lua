--- A node's clock held against this machine's: when something happened there, by the time of here.
--
-- The clock of a VM that counts is its monotonic one, which nobody sets. All workers of a rollout run on one machine, whose
-- clock is the same for all: so the nodes need not be connected to each other, and none has to have the right time.
--
-- @module edeliver.relup.cluster.clock

local core = require "edeliver.relup.core"
local term = require "edeliver.relup.term"

local clock = {}
clock.__index = clock

local LOOKS = 9

--- Looks at a node's clock, a few times: the quickest answer is the closest.
-- @param node
-- @return[1] clock
-- @return[2] nil, message, code
function clock.of(node)
  local quickest, offset
  for _ = 1, LOOKS do
    local asked = core.now()
    local there, message, code = node:call("erlang", "monotonic_time", { term.atom "microsecond" })
    if not math.type(there) then
      return nil, message or ("the clock of %s gives no number"):format(node.name), code or "bad_answer"
    end
    local took = core.now() - asked
    if not quickest or took < quickest then quickest, offset = took, asked + took / 2 - there / 1000 end
  end
  return setmetatable({ offset = offset, within = quickest / 2 }, clock)
end

--- When it was here: `core.now()`, in ms, off by at most `within` ms.
-- @tparam integer there the node's `erlang:monotonic_time(microsecond)`
-- @treturn number
function clock:here(there) return there / 1000 + self.offset end

--- When something is to be there that is to be here at `core.now()`, in ms.
-- @tparam number here
-- @treturn integer us of the node's monotonic time
function clock:there(here) return math.floor((here - self.offset) * 1000) end

return clock
