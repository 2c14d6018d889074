--- Finds the web server of an application.
--
-- One module for each kind of server, all of them asked: each gives a site, or says what it looked at and what was missing.
-- Nothing is guessed: what no module understands is "not_detected". Where several have one, all of them count.
--
-- @module edeliver.relup.web

local application = require "edeliver.relup.otp.application"
local count = require "edeliver.relup.base.count"
local endpoints = require "edeliver.relup.web.phoenix.endpoints"
local shape = require "edeliver.relup.node.shape"
local union = require "edeliver.relup.web.union"
local term = require "edeliver.relup.term"

local web = {}

--- The kinds, in the order in which they are asked. Each is a module with `find(node, name, config)`, which gives a site (see
-- `edeliver.relup.web.site` for its methods), or nil, message, code; "not_detected" lets the next kind try;
-- and `traces(node, anybody_suspended, log)`, which gives what any run may have left at any listener of that kind, as undos for a
-- ledger (`{ key = in words, undo = a call }`), none where there is no such server; or nil, message, code.
web.kinds = { "cowboy_on_ranch", "bandit" }

-- Endpoints of applications that were not meant, in words: of an umbrella's other applications, most likely.
local function elsewhere(node, name, config)
  local meant, words = endpoints.applications(name, config), {}
  for _, endpoint in ipairs(endpoints.all(node) or {}) do
    if not meant[endpoint.app] then words[#words + 1] = ("%s of %s"):format(term.format(endpoint.name), endpoint.app) end
  end
  if #words == 0 then return "" end
  return ("; there is %s: config.applications names the applications of an umbrella"):format(table.concat(words, ", "))
end

--- Finds the listeners of an application, and what belongs to them.
-- @param node
-- @string name of the application: its Phoenix endpoints are looked for
-- @tparam[opt] table config `port` or `listener` (the ref of a ranch listener: a string stands for an atom, or a term) picks a
-- listener, where there is no endpoint or only one of several is meant; `applications` names further ones whose endpoints are
-- meant, as the parts of an umbrella are
-- @return[1] a site
-- @treturn[2] nil
-- @treturn[2] string what each kind looked at, and what was missing
-- @treturn[2] string "not_detected"; "not_running" where there is no such application either; or what the node refused
function web.find(node, name, config)
  local sites, missing = {}, {}
  for _, kind in ipairs(web.kinds) do
    local site, message, code = require("edeliver.relup.web.servers." .. kind).find(node, name, config or {})
    if not site and code ~= "not_detected" then return nil, message, code end
    if site then sites[#sites + 1] = site else missing[#missing + 1] = message end
  end
  if #sites > 0 then return union.as_one(node, sites) end
  local others = elsewhere(node, name, config or {})
  local runs, problem, why = name == nil, nil, nil
  if name then runs, problem, why = application.is_running(node, name) end
  if runs == nil then return nil, problem, why end
  if not runs then return nil, ("the application %s does not run on %s%s"):format(name, node.name, others), "not_running" end
  return nil, table.concat(missing, "; ") .. others, "not_detected"
end

local LISTENING = shape.list(shape.tuple(shape.integer, shape.atom))

--- Whether a node has no server at all that could have sockets to lose: it listens on no port but those of the distribution and
-- of ssh.
-- @param node
-- @return[1] true; or false, and in words what listens
-- @return[2] nil, message, code
function web.none(node)
  local answer, message, code = shape.expect(node, "which ports it listens on", LISTENING, node:run "listening")
  if not answer then return nil, message, code end
  local words = {}
  for _, row in ipairs(answer) do
    local owner = shape.to_text(row[2])
    if owner ~= "ssh" then words[#words + 1] = ("%d (%s)"):format(row[1], owner) end
  end
  if #words == 0 then return true end
  return false, ("it listens on %s %s"):format(count.verb(#words, "port", "ports"), table.concat(words, ", "))
end

--- Finds the web server of a run anew, and remembers it for the steps that follow.
-- @param node
-- @param ctx
-- @return as `find`
function web.look(node, ctx)
  local site, message, code = web.find(node, ctx.name, ctx.config)
  ctx.site = site
  if code == "not_detected" and web.none(node) then
    message = message .. "; it has no web server at all: leave the steps of acceptors, channels and requests out of the sequence"
  end
  return site, message, code
end

--- What this run has found already; looks for it where nothing has.
-- @return as `find`
function web.known(node, ctx)
  if ctx.site then return ctx.site end
  return web.look(node, ctx)
end

--- Finds the web server of a run anew, and its acceptors.
-- @param node
-- @param ctx `config.refuse`: whether listeners are to be suspended as a whole
-- @return[1] site
-- @return[1] its acceptors, as `site:acceptors` gives them
-- @return[2] nil, message, code: "not_detected" with the piece that is missing
function web.look_for_acceptors(node, ctx)
  local site, message, code = web.look(node, ctx)
  if not site then return nil, message, code end
  local missing = site:missing_acceptors(ctx.config.refuse)
  if missing then return nil, missing, "not_detected" end
  local pools
  pools, message, code = site:acceptors()
  if not pools then return nil, message, code end
  return site, pools
end

return web
