--- Who runs this program, for those who find its work on a node.
--
-- @module edeliver.relup.base.operator

local core = require "edeliver.relup.core"

local operator = {}

--- The operator's name: as the environment says, or by the uid.
function operator.name()
  for _, variable in ipairs { "USER", "LOGNAME" } do
    local name = os.getenv(variable)
    if name and name ~= "" then return name end
  end
  return core.user_name() or "an operator"
end

return operator
