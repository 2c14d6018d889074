--- What the command line says about the site: which application, and which of its listeners.
--
-- @module edeliver.relup.cli.site_options

local count = require "edeliver.relup.base.count"
local parser = require "edeliver.relup.cli.parser"
local session = require "edeliver.relup.cli.session"
local web = require "edeliver.relup.web"

local site_options = {}

--- Adds the options that say which application and which listener is meant.
function site_options.add(to)
  to:option("--app", "The application (default: the release's name)."):argname "NAME"
  to:option("--listener", "The listener (a ranch ref), where there is no endpoint."):argname "REF"
  to:option("--port", "The port of the listener, where there is no endpoint."):argname "PORT":convert(parser.port)
end

--- What the command line says, as instructions take it.
function site_options.config(args, name)
  return {
    name = name, version = args.version, target = args.target, listener = args.listener, port = args.port,
    journal = args.journal, engine = args.engine, rehearse = args.rehearse,
  }
end

--- Finds the site that the command line means.
-- @return[1] site, and the application's name, which a listener or a port can do without
-- @return[2] nil, message, code
function site_options.find(node, args)
  local name, message, code = session.application(node, args)
  if not name and not (args.port or args.listener) then return nil, message, code end
  local site
  site, message, code = web.find(node, name, site_options.config(args, name))
  if not site then return nil, message, code end
  return site, name
end

--- How many websockets an application has now, in words; nothing found is no failure here.
function site_options.count_sockets(node, config)
  local site = web.find(node, config.name, config)
  local found = site and site:connections()
  return found and count.of(#found.websockets, "websocket") or "an unknown number of websockets"
end

return site_options
