--- What the commands on a node share: connecting, the application's name, and the question before a node is touched.
--
-- @module edeliver.relup.cli.session

local connection_options = require "edeliver.relup.cli.connection_options"
local cookie = require "edeliver.relup.cli.cookie"
local endpoints = require "edeliver.relup.web.phoenix.endpoints"
local exit = require "edeliver.relup.cli.exit"
local local_release = require "edeliver.relup.cli.local_release"
local relup = require "edeliver.relup"
local release_handler = require "edeliver.relup.otp.release_handler"
local shape = require "edeliver.relup.node.shape"
local term = require "edeliver.relup.term"
local terminal = require "term"

local session = {}

--- How the command line wants nodes to be connected to, as `relup.connect` takes it.
-- @return[1] a table of options
-- @return[2] nil, message, code
function session.options(args)
  local found, message, code = cookie.find(args)
  if found == nil then return nil, message, code end
  -- What has to be said of the cookie, once.
  if message and not args.cookie_was_told then args.output:note("edeliver-relup: " .. message) end
  args.cookie_was_told = true
  local options = connection_options.of(args, args.dist_port)
  options.cookie = found or nil
  return options
end

--- Connects to the node that the command line names.
-- @param args
-- @return[1] a node, to be closed; and the options, for others of its kind
-- @return[2] nil, exit code; why was said
function session.connect(args)
  local options, message, code = session.options(args)
  local node
  if options then
    args.output:wait(("connecting to %s"):format(args.node))
    node, message, code = relup.connect(args.node, options)
    args.output:clear_progress()
  end
  if node then return node, options end
  args.output:fail(message, code)
  return nil, code == "badarg" and exit.USAGE or exit.FAILED
end

--- The applications that are meant: those of `--app`; without it the one with the release's name, and all others that have
-- Phoenix endpoints, as the parts of an umbrella do: an upgrade exchanges the code of all of them.
-- @param node
-- @tparam table args
-- @string[opt] name of the release, where that is known
-- @return[1] a list of names, at least one
-- @return[2] nil, message, code
function session.applications(node, args, name)
  if args.app and #args.app > 0 then return args.app end
  if not name then
    local release, message, code = release_handler.current(node)
    if not release then return nil, message .. ": say which application with --app NAME", code end
    name = release.name
  end
  local found, message, code = endpoints.all(node)
  if not found then return nil, message, code end
  local names, seen = { name }, { [name] = true }
  for _, endpoint in ipairs(found) do
    if not seen[endpoint.app] then names[#names + 1] = endpoint.app end
    seen[endpoint.app] = true
  end
  return names
end

local LOCAL_HOSTS = { localhost = true, ["127.0.0.1"] = true, ["::1"] = true }

-- Also this machine's own name, whole or as short names have it.
local function is_local_host(host)
  if host == nil then return false end
  if LOCAL_HOSTS[host] or host:find "^127%.%d+%.%d+%.%d+$" then return true end
  local own = local_release.hostname()
  return own ~= nil and (host == own or host == own:match "^[^.]+")
end

--- Whether the node runs on this machine: its name says so, and so does the address that is connected to. A tunnel begins here
-- and leads elsewhere, so the address alone says nothing, and ssh leads elsewhere, too.
function session.is_local(args)
  return args.ssh == nil and is_local_host(args.node:match "@(.*)$") and (args.address == nil or is_local_host(args.address))
end

--- Asks before a node is touched that is not local.
-- @param args
-- @string question what will be done to what, in a sentence
-- @return whether it is confirmed; why not was said
function session.confirm(args, question)
  if args.yes or session.is_local(args) then return true end
  if not terminal.isatty(io.stdin) then
    args.output:fail(("%s Nobody confirmed it, as this is no terminal: nothing was done. --yes confirms it"):format(question),
      "not_confirmed")
    return false
  end
  args.output:clear_progress()
  io.stderr:write(args.output.escape(question), " Continue? [y/N] ")
  io.stderr:flush()
  local answer = io.read "l"
  if answer and answer:lower():find "^%s*y" then return true end
  args.output:fail("You did not confirm it: nothing was done", "not_confirmed")
  return false
end

--- The pids that the command line names, as the node knows them.
-- @tparam table texts "<0.123.0>" or "0.123.0"
-- @return[1] a list of pids
-- @return[2] nil, message, code
function session.pids(node, texts)
  local pids = {}
  for i, text in ipairs(texts) do
    local inner = text:match "^<?(%d+%.%d+%.%d+)>?$"
    if not inner then return nil, ("%q is no pid: they look like <0.123.0>"):format(text), "badarg" end
    local pid, message, code = shape.expect(node, "erlang:list_to_pid", shape.pid,
      node:call("erlang", "list_to_pid", { term.charlist("<" .. inner .. ">") }))
    if not pid then return nil, message, code end
    pids[i] = pid
  end
  return pids
end

return session
