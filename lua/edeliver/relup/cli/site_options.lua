--- What the command line says about the site: which applications, which of their listeners, and what to do about their sockets.
--
-- @module edeliver.relup.cli.site_options

local count = require "edeliver.relup.base.count"
local parser = require "edeliver.relup.cli.parser"
local session = require "edeliver.relup.cli.session"
local web = require "edeliver.relup.web"

local site_options = {}

--- Adds the options that say which applications and which listener are meant.
function site_options.add(to)
  to:option("--app", "An application whose endpoints are meant (default: all of the release); may be said more than once.")
    :argname "NAME":count "*"
  to:option("--listener", "The listener (a ranch ref), where there is no endpoint."):argname "REF"
  to:option("--port", "The port of the listener, where there is no endpoint."):argname "PORT":convert(parser.port)
end

local function whole_number(text)
  local number = math.tointeger(tonumber(text))
  if not number or number < 0 then return nil, ("%q is not a whole number"):format(text) end
  return number
end

--- Adds the options that say what is done to the sockets of a site during a run.
function site_options.add_for_run(to)
  to:option("--target", "What to suspend: the websocket processes (default), the channels behind them, websockets where\n"
    .. "they can be suspended, and else channels (auto), or nobody, where code is only loaded (none).")
    :choices { "transports", "channels", "auto", "none" }
  to:flag("--refuse", "Refuse new connections meanwhile, instead of letting them wait.")
  to:option("--tolerate", "Continue although N processes do not answer their suspend (default: 0).")
    :argname "N":convert(whole_number)
  to:option("--max-mailbox", "Stop before the install where more than N messages wait for a suspended process.")
    :argname "N":convert(whole_number)
  to:option("--grace", "After how long a silence of ours the node undoes everything, in ms (default: 5000)."):argname "MS"
    :convert(parser.positive)
  to:flag("--no-sockets", "Suspend no websockets, whether there are some or not.")
end

--- What the command line says, as instructions take it.
-- @tparam table args
-- @tparam table names the applications that are meant, at least one
function site_options.config(args, names)
  return {
    name = names[1], applications = #names > 1 and table.move(names, 2, #names, 1, {}) or nil, version = args.version,
    target = args.target, listener = args.listener, port = args.port, refuse = args.refuse, tolerate = args.tolerate,
    max_mailbox = args.max_mailbox, grace = args.grace, journal = args.journal, engine = args.engine, rehearse = args.rehearse,
  }
end

--- Finds the site that the command line means.
-- @return[1] site, and the application's name, which a listener or a port can do without
-- @return[2] nil, message, code
function site_options.find(node, args)
  local names, message, code = session.applications(node, args)
  if not names and not (args.port or args.listener) then return nil, message, code end
  local config = site_options.config(args, names or {})
  local site, problem, why = web.find(node, config.name, config)
  if not site then return nil, problem, why end
  return site, config.name
end

--- Whether a run has no sockets to suspend: `--no-sockets`, or a node without any server.
-- @tparam table args
-- @param node
-- @tparam table config what `config` gave
-- @return[1] boolean
-- @return[2] nil, message, code: there is a server, and it is not known what its sockets are
function site_options.has_no_sockets(args, node, config)
  if args.no_sockets then return true end
  local site, message, code = web.find(node, config.name, config)
  if site then return false end
  if code ~= "not_detected" and code ~= "not_running" then return nil, message, code end
  local none, what, why = false, "", nil
  if not config.listener and not config.port then none, what, why = web.none(node) end
  if none == nil then return nil, what, why end
  if not none then
    return nil, ("%s%s%s. Name the site with --app, --listener or --port; --no-sockets suspends no websockets"):format(message,
      what ~= "" and "; " or "", what), code
  end
  args.output:line(("%s has no web server: no websockets are suspended."):format(node.name))
  return true
end

--- How many websockets the applications have now, in words; nothing found is no failure here.
function site_options.count_sockets(node, config)
  local site = web.find(node, config.name, config)
  local found = site and site:connections()
  return found and count.of(#found.websockets, "websocket") or "an unknown number of websockets"
end

return site_options
