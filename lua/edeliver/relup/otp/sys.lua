--- `sys`, as an outside client calls it: thin, named after what it calls. Many processes at once are suspended and resumed by
-- `node:bulk_suspend` and `node:bulk_resume`; this is for what those leave open.
--
-- @module edeliver.relup.otp.sys

local shape = require "edeliver.relup.shape"
local term = require "edeliver.relup.term"

local sys = {}

-- `{status, Pid, {module, Module}, [Dictionary, State, Parent, Debug, Misc]}`
local STATUS = shape.tuple(shape.is(term.atom "status"), shape.pid, shape.tuple(shape.any, shape.atom),
  function(items) return shape.list()(items) and shape.atom(items[2]) end)

--- Asks one process for its status. Not for http connections or other processes of which nobody knows what they do with it.
-- @param node
-- @param pid
-- @tparam[opt=1000] number timeout ms
-- @return[1] "running" or "suspended"
-- @return[1] the name of its module
-- @return[2] nil, message, code
function sys.get_status(node, pid, timeout)
  timeout = timeout or 1000
  local answer, message, code, reason = shape.expect(node, "sys:get_status", STATUS,
    node:call("sys", "get_status", { pid, timeout }, timeout + 5000))
  if not answer then
    local text = reason and term.format(reason) or ""
    if text:find("{noproc,", 1, true) == 1 then return nil, tostring(pid) .. " is dead", "noproc" end
    if text:find("{timeout,", 1, true) == 1 then return nil, tostring(pid) .. " gave no status in time", "timeout" end
    return nil, message, code
  end
  return answer[4][2].name, answer[3][2].name
end

return sys
