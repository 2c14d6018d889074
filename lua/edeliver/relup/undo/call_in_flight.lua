--- What a run has begun on the node and did not see the end of: an install from which a signal, an error or a timeout took it.
--
-- The release handler may have suspended the same processes as the run has, for their code_change. One resume undoes any number
-- of suspends, so one in the middle of the install may make it fail past its point of no return, and the node restarts. So
-- before anything is undone, the end of it is waited for. Knows no step; `ctx.under_way` is what a step has left: `name`,
-- `outlast(deadline, enough)` for when the guard is gone (whether it has ended), and `tell(answer, …)`, which says what came of
-- it.
--
-- @module edeliver.relup.undo.call_in_flight

local core = require "edeliver.relup.core"

local call_in_flight = {}

-- Waits; gives what the call came to, as `node:call` would; "timeout" where it has not ended.
local function wait(self)
  local the_guard, begun = self.guard, self.ctx.under_way
  local what = ("%s has ended on %s"):format(the_guard.performing, self.node.name)
  local deadline, told, asked = core.now() + the_guard.patience, nil, nil
  local function take_signal()
    if not told then
      told = true
      self.ctx:log("warning", ("waits until %s, since resuming in the middle of it could make the node restart. Another Ctrl-C "
        .. "leaves it to the guard there, which undoes everything then"):format(what))
    end
    return core.take_signal()
  end
  local answer = table.pack(the_guard:outlast(deadline, function()
    asked = asked or take_signal()
    return asked ~= nil
  end))
  if answer[3] == "guard_gone" and begun then
    -- There is nobody to leave it to.
    local ended = begun.outlast(deadline, function()
      local signal = take_signal()
      if signal then self.ctx:log("warning", ("%s: the guard is gone; still waits until %s"):format(signal, what)) end
    end)
    if not ended then answer = table.pack(nil, answer[2], "timeout") end
  end
  if answer[3] == "timeout" and asked then
    self:leave_to_guard(("%s. The guard there undoes everything when %s"):format(asked, what))
  elseif answer[3] == "timeout" then
    self.ctx:log("error", ("was not waited for any longer than %.0f s: that %s"):format(the_guard.patience / 1000, what))
  end
  return answer
end

--- Waits for what is under way, and completes the report by what came of it.
-- @param self a run that ends
function call_in_flight.outlast(self)
  local begun = self.ctx.under_way
  local answer = table.pack(nil, "what came of it was told already", "idle")
  if self.guard and self.guard.performing then answer = wait(self) end
  if not begun then return true end
  local words = "still goes on"
  if answer[3] ~= "timeout" then
    local done, message = begun.tell(table.unpack(answer, 1, answer.n))
    words = "went on to its end: " .. (done or message)
  end
  self.report.message = ("%s; %s %s"):format(self.report.message or "", begun.name, words)
  self.ctx:log("warning", begun.name .. " " .. words)
  return true
end

return call_in_flight
