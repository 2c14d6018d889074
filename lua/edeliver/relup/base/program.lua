--- Programs of this machine, by their pid and when they were started: a pid alone is given to others later.
--
-- @module edeliver.relup.base.program

local program = {}

--- When it was started, for comparisons: in clock ticks since the machine was.
-- @tparam integer pid
-- @treturn integer nil where there is no such program, or it has ended and nobody has looked
function program.started(pid)
  local file <close> = io.open(("/proc/%d/stat"):format(pid))
  local text = file and file:read "a" -- "PID (NAME) STATE ...", and the NAME may be anything
  local state, rest = (text or ""):match "^.*%)%s+(%S)%s+(.*)$"
  if not state or state == "Z" or state == "X" then return nil end
  local fields = {}
  for field in rest:gmatch "%S+" do fields[#fields + 1] = field end
  return math.tointeger(tonumber(fields[19])) -- proc(5): the 22nd of all
end

return program
