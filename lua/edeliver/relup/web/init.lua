--- Finds the web server of an application.
--
-- One module for each kind of server, tried in turn: each gives a site, or says what it looked at and what was missing. Nothing
-- is guessed: what no module understands is "not_detected".
--
-- @module edeliver.relup.web

local application = require "edeliver.relup.otp.application"

local web = {}

--- The kinds, in the order in which they are tried. Each is a module with `find(node, name, config)`, which gives a site (see
-- `edeliver.relup.web.site` for its methods), or nil, message, code; "not_detected" lets the next kind try.
web.kinds = { "cowboy_on_ranch", "bandit" }

--- Finds the listeners of an application, and whatever hangs from them.
-- @param node
-- @string name of the application: its Phoenix endpoints are looked for
-- @tparam[opt] table config `port` or `listener` (the ref of a ranch listener: a string stands for an atom, or a term) picks a
-- listener, where there is no endpoint or only one of several is meant
-- @return[1] a site
-- @treturn[2] nil
-- @treturn[2] string what each kind looked at, and what was missing
-- @treturn[2] string "not_detected", "not_running", or what the node refused
function web.find(node, name, config)
  local runs, problem, why = application.is_running(node, name)
  if runs == nil then return nil, problem, why end
  if not runs then return nil, ("the application %s does not run on %s"):format(name, node.name), "not_running" end
  local missing = {}
  for _, kind in ipairs(web.kinds) do
    local site, message, code = require("edeliver.relup.web." .. kind).find(node, name, config or {})
    if site then return site end
    if code ~= "not_detected" then return nil, message, code end
    missing[#missing + 1] = message
  end
  return nil, table.concat(missing, "; "), "not_detected"
end

--- Finds the web server of a run anew, and remembers it for the steps that follow.
-- @param node
-- @param ctx
-- @return as `find`
function web.look(node, ctx)
  local site, message, code = web.find(node, ctx.name, ctx.config)
  ctx.memory.site = site
  return site, message, code
end

--- What this run has found already; looks for it where nothing has.
-- @return as `find`
function web.known(node, ctx)
  if ctx.memory.site then return ctx.memory.site end
  return web.look(node, ctx)
end

return web
