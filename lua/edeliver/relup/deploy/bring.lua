--- Brings a release to a node and registers it there; and takes away again what was brought.
--
-- @module edeliver.relup.deploy.bring

local plan = require "edeliver.relup.plan"
local register = require "edeliver.relup.deploy.register"
local release_folder = require "edeliver.relup.otp.release_folder"
local release_handler = require "edeliver.relup.otp.release_handler"
local ship = require "edeliver.relup.deploy.ship"

local bring = {}

-- Asks the new release itself, now that it can be started there; says what the plan did not know before.
local function ask_again(ctx, this, root)
  local made, said = this.planned.plan, {}
  for _, reason in ipairs(made.reasons) do said[reason.text] = true end
  local asked, message, code = plan.ask(made, root)
  if not asked then return nil, message, code end
  for _, reason in ipairs(made.reasons) do
    if reason.level ~= "note" and not said[reason.text] then
      ctx:log("warning", ("%s: %s %s"):format(reason.level, reason.text, reason.next))
    end
  end
  return this.planned:allowed(this.options.anyway)
end

--- Sends what the node lacks, registers the release, and asks the new release itself once more, now that it can be started there.
-- @param node
-- @param ctx
-- @tparam table this a deploy: `planned`, `options`; gets `shipped` and `registered`
-- @return[1] true
-- @return[2] nil, message, code: "cold" where the new release itself has told a reason
function bring.there(node, ctx, this)
  local message, code
  this.shipped, message, code = ship.send(node, this.planned.compared, { ctx = ctx, progress = this.options.progress })
  if not this.shipped then return nil, message, code end
  this.registered, message, code = register.add(node, this.planned.release, { relup = this.planned.relup, ctx = ctx })
  if not this.registered then return nil, message, code end
  local root
  root, message, code = release_folder.root(node)
  if not root then return nil, message, code end
  return ask_again(ctx, this, root)
end

--- Takes away what was brought, unless the node runs it. Where we may not, it is said what is left.
-- @param node
-- @param ctx
-- @tparam table this as in `there`
-- @tparam boolean ours whether the guard still keeps others out for us
-- @return true
function bring.back(node, ctx, this, ours)
  if not this.shipped then return true end
  if not ours then
    ctx:log("warning", ("What was brought of %s lies on %s. Another deploy continues with it; `edeliver-relup %s remove %s` "
      .. "takes it away"):format(this.version, node.name, node.name, this.version))
    return true
  end
  if release_handler.runs(node, this.version) then return true end
  local left, message = true, nil
  if this.registered then left, message = register.take_back(node, this.registered) end
  if left then left, message = ship.take_back(node, this.shipped) end
  if left then
    ctx:log("info", ("what was brought of %s was taken away from %s again"):format(this.version, node.name))
  else
    ctx:log("warning", ("%s. `edeliver-relup %s remove %s` takes away what is left of it"):format(
      message or "What was brought lies on " .. node.name, node.name, this.version))
  end
  return true
end

return bring
