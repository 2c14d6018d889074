--- Calls a function of somebody else's; an error in it becomes nil, message, code: "interrupted" where a signal raised it, "lua"
-- and a traceback otherwise.
--
-- @module edeliver.relup.base.attempt

return function(f, ...)
  local outcome = table.pack(xpcall(f, function(problem)
    if type(problem) == "string" and problem:find("interrupted by SIG", 1, true) then return problem end
    return debug.traceback(tostring(problem), 2)
  end, ...))
  if outcome[1] then return table.unpack(outcome, 2, math.max(outcome.n, 2)) end
  local message = outcome[2]
  local signal = message:match "interrupted by (SIG%u+)"
  if signal then return nil, "interrupted by " .. signal, "interrupted" end
  return nil, message, "lua"
end
