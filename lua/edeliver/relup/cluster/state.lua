--- What a rollout is at: the states of its nodes, what is said of them, and waiting for what comes next.
--
-- @module edeliver.relup.cluster.state

local core = require "edeliver.relup.core"
local uv = require "luv"

local state = {}

state.STATES = { -- what a person reads
  planned = "waits for its turn", running = "upgrading", watching = "upgraded, its health is checked", done = "done",
  already = "had this version", failed = "failed, undone", unhealthy = "not healthy", lost = "lost", reverting = "going back",
  reverted = "went back", stuck = "could not go back", skipped = "not begun", looking = "connecting", looked = "connected",
}

--- Says what happened, to who asked for events.
function state.emit(self, event)
  event.ms = math.floor(core.now() - self.started)
  if self.config.on_event then self.config.on_event(event, self) end
end

--- A node is in another state from here on: in the journal, too.
function state.set(self, node, now, message)
  node.state, node.message = now, message or node.message
  self.journal:write("state", { node = node.name, state = now, message = message })
  state.emit(self, { event = "state", node = node.name, state = now, message = message })
end

--- Hears Ctrl-C, and what another terminal says.
function state.take_commands(self)
  if core.take_signal() then
    self.options.left, self.options.aborted = self.options.aborted, true
    state.emit(self, { event = "said", text = self.options.left
      and "you leave the nodes in the middle of it to their workers, which end or undo by themselves; `status` of each shows how"
      or "no new node begins; those that are in the middle of it end well. Ctrl-C again leaves them to their workers" })
  end
  local word = self.journal:command()
  if not word then return end
  if word == "pause" or word == "continue" then self.options.paused = word == "pause" end
  if word == "abort" then self.options.aborted = true end
  if word == "revert" then self.options.reverting = true end
  state.emit(self, { event = "said", text = word })
end

--- Runs the loop until something is so; false where it took too long, or the operator has left.
function state.wait_until(self, condition, timeout)
  local deadline = core.now() + (timeout or math.huge)
  while not condition() do
    if core.now() > deadline or self.options.left then return false end
    state.take_commands(self)
    uv.run "once" -- the timer of `run` ends each round
  end
  return true
end

--- Whether all of its nodes pass.
function state.every(self, test)
  for _, node in ipairs(self.nodes) do
    if not test(node) then return false end
  end
  return true
end

return state
