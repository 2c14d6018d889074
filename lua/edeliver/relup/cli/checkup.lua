--- What has to be so that a node can be upgraded: one list of checks, each with what is wrong and what to do. Changes nothing.
--
-- @module edeliver.relup.cli.checkup

local count = require "edeliver.relup.base.count"
local guard = require "edeliver.relup.undo.guard"
local hold = require "edeliver.relup.cluster.hold"
local option_names = require "edeliver.relup.cli.option_names"
local release_handler = require "edeliver.relup.otp.release_handler"
local room = require "edeliver.relup.step.room"
local site_options = require "edeliver.relup.cli.site_options"
local swap = require "edeliver.relup.step.swap"
local term = require "edeliver.relup.term"

local checkup = {}

local OLDEST, NEWEST, WITH_PEER = 23, 29, 25 -- releases of OTP

-- A check gives "ok", "warning" or "bad", what it found, and what to do; or nil, message, code where the node does not answer.
-- `seen` is what earlier ones have found.
local checks = {}

function checks.otp(node)
  local answer, message, code = node:call("erlang", "system_info", { term.atom "otp_release" })
  if answer == nil then return nil, message, code end
  local release = math.tointeger(tonumber(term.text(answer)))
  if not release or release < OLDEST then
    return "bad", ("It runs OTP %s"):format(term.text(answer)), ("OTP %d to %d are supported"):format(OLDEST, NEWEST)
  elseif release > NEWEST then
    return "warning", ("It runs OTP %d, which is newer than what was tried"):format(release),
      "Try the upgrade on a copy of the node first"
  elseif release < WITH_PEER then
    return "warning", ("It runs OTP %d, so no VM can be started beside it to try the new release in"):format(release),
      "Read the plan with care: what the new release says of itself is not known before the upgrade"
  end
  return "ok", ("It runs OTP %d"):format(release)
end

function checks.release(node, seen)
  local releases, message, code = release_handler.which_releases(node)
  if not releases then
    if code == "timeout" or code == "nodedown" then return nil, message, code end
    return "bad", "Its release_handler does not answer: " .. message,
      "Add sasl to the release's applications, and restart the node once"
  end
  local now = release_handler.running(releases)
  if not now then
    return "bad", "It runs no release", "Start it from a release: `mix release`, rebar3 or systools makes one"
  end
  seen.release = now
  local starts_with = release_handler.permanent(releases)
  if starts_with and starts_with.version ~= now.version then
    return "warning", ("It runs %s %s, and starts with %s"):format(now.name, now.version, starts_with.version),
      "`make-permanent` makes it start with what it runs"
  end
  return "ok", ("It runs the release %s %s, and starts with it"):format(now.name, now.version)
end

checks["place for releases"] = function(node)
  local fine, message, code = room.to_deploy(node, 0)
  if fine then return "ok", "It may write where releases are kept, and has room there" end
  if code == "no_rights" or code == "no_room" then return "bad", message, "An upgrade writes the new release there first" end
  return nil, message, code
end

checks["next start"] = function(node)
  local fine, message, code = room.to_make_permanent(node)
  if fine then return "ok", "It may write what the next start reads" end
  if code ~= "no_rights" then return nil, message, code end
  return "warning", message, "Without it an upgrade cannot be made permanent: the next start runs the old version"
end

checks["other upgrades"] = function(node)
  local who, message, code = guard.who(node)
  if who == nil then return nil, message, code end
  if who then
    return "bad", ("An upgrade of %s is active (%s)"):format(who.who, who.status), "Wait for its end; `status` shows it"
  end
  local swapping, problem, why = swap.who(node)
  if swapping == nil then return nil, problem, why end
  if swapping and swapping.status ~= "purging" then
    return "bad", "A swap is " .. swapping.status, "Wait for its end; `status` shows it"
  end
  local rollout, unheard, reason = hold.who(node)
  if rollout == nil then return nil, unheard, reason end
  if rollout then
    return "bad", "A rollout has it: " .. rollout, "Wait for its end, or end it by `rollout abort`"
  end
  return "ok", "No other upgrade is active"
end

function checks.suspended(node)
  local sitting, message, code = node:suspended()
  if not sitting then return nil, message, code end
  if #sitting == 0 then return "ok", "No process is suspended" end
  return "bad", ("%s suspended"):format(count.of(#sitting, "process is", "processes are")),
    "`stuck` shows them, `recover` resumes what an accident left"
end

checks["old code"] = function(node)
  local old, message, code = release_handler.running_old_code(node)
  if not old then return nil, message, code end
  if #old == 0 then return "ok", "No process runs old code" end
  local names = {}
  for i = 1, math.min(#old, 5) do names[i] = old[i].module end
  return "bad", ("Processes still run old code of %s%s"):format(table.concat(names, ", "), #old > 5 and " and others" or ""),
    "The next upgrade would kill them: let them end first"
end

checks.sockets = function(node, seen, args)
  if not seen.release and not (args.app[1] or args.listener or args.port) then
    return "warning", "Without a release it is not known which application to look for", "Name it with --app"
  end
  local site, message, code = site_options.find(node, args)
  if not site then
    if code == "timeout" or code == "nodedown" then return nil, message, code end
    message = option_names.of(message)
    if code == "not_running" then
      return args.app[1] and "bad" or "warning", message, "Name an application that runs there with --app"
    end
    return "warning", message, "A node without websockets needs none. Else name it with --app, --listener or --port"
  end
  local found, problem, why = site:connections()
  if not found then return nil, problem, why end
  return "ok", ("%s, with %s"):format(site:describe(), count.of(#found.websockets, "websocket"))
end

local ORDER = { "otp", "release", "place for releases", "next start", "other upgrades", "suspended", "old code", "sockets" }

--- Checks all of it.
-- @param node
-- @tparam table args of the command line: `app`, `listener`, `port`
-- @return a list of `{ name =, level = "ok" | "warning" | "bad" | "unknown", text =, next = what to do, or nil }`
function checkup.run(node, args)
  local found, seen = {}, {}
  for i, name in ipairs(ORDER) do
    local level, text, next_step = checks[name](node, seen, args)
    if level then
      found[i] = { name = name, level = level, text = text, next = next_step }
    else
      found[i] = {
        name = name, level = "unknown", text = text, next = "Ask again; a node that is overloaded should not be upgraded",
      }
    end
  end
  return found
end

return checkup
