--- Calls a function of somebody else's; an error in it becomes nil, message, code.
--
-- @module edeliver.relup.base.attempt

-- What Lua says of a yield where `core.without_yield` allows none, and what that means here.
local YIELD = "attempt to yield across a C%-call boundary"
local NO_YIELD = "a step must not yield: if its coroutine were dropped, nobody would undo what was done"

--- Calls it.
-- @tparam function f
-- @param ... its arguments
-- @return[1] what it returns
-- @return[2] nil, message, code: "interrupted" where a signal raised the error, else "lua"; then the traceback, for who mends
-- the function
return function(f, ...)
  local outcome = table.pack(xpcall(f, function(problem)
    if type(problem) == "string" and problem:find("interrupted by SIG", 1, true) then return { message = problem } end
    return { message = tostring(problem), traceback = debug.traceback(tostring(problem), 2) }
  end, ...))
  if outcome[1] then return table.unpack(outcome, 2, math.max(outcome.n, 2)) end
  local problem = outcome[2]
  -- An error in the handler itself, as where memory is out, is no table.
  if type(problem) ~= "table" then problem = { message = tostring(problem) } end
  local signal = problem.message:match "interrupted by (SIG%u+)"
  if signal then return nil, "interrupted by " .. signal, "interrupted" end
  return nil, problem.message:find(YIELD) and NO_YIELD or problem.message, "lua", problem.traceback
end
