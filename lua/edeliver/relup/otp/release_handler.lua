--- `release_handler`, as an outside client calls it: thin, named after what it calls.
--
-- Versions are charlists on the node and strings here. Every function gives `nil, message, code` for what the node refused.
--
-- @module edeliver.relup.otp.release_handler

local term = require "edeliver.relup.term"

local release_handler = {}

local atom, charlist = term.atom, term.charlist
local OK = atom "ok"

-- release_handler's own words for what it refuses, in words for people.
local function explain(node, fun, reason)
  local kind = term.kind(reason) == "tuple" and reason[1] or nil
  if kind == atom "no_such_release" then
    return ("%s has no release %s"):format(node.name, term.format(reason[2])), "no_such_release"
  elseif kind == atom "no_matching_relup" then
    return ("the relup on %s does not lead from %s to %s"):format(node.name, term.format(reason[3]), term.format(reason[2])),
      "no_matching_relup"
  elseif kind == atom "existing_release" then
    return ("%s has release %s already"):format(node.name, term.format(reason[2])), "existing_release"
  end
  return ("release_handler:%s on %s refused: %s"):format(fun, node.name, term.format(reason)), "refused"
end

local function call(node, fun, arguments, timeout)
  local answer, message, code, reason = node:call("release_handler", fun, arguments, timeout)
  if answer == nil then
    -- A release_handler that is busy with an install, or is not there at all.
    if code == "exit" and term.format(reason):find("noproc", 1, true) then
      return nil, ("no release_handler runs on %s: the node was not started as a release with sasl"):format(node.name),
        "no_release_handler"
    end
    return nil, message, code
  end
  if answer == OK then return true end
  if term.kind(answer) == "tuple" and answer[1] == atom "error" then return nil, explain(node, fun, answer[2]) end
  return answer
end

--- The releases that the node knows.
-- @return[1] a list of `{ name =, version =, status = "permanent" | "current" | "old" | "unpacked" | "tmp_current" }`
-- @return[2] nil, message, code
function release_handler.which_releases(node)
  local answer, message, code = call(node, "which_releases", {})
  if not answer then return nil, message, code end
  local releases = {}
  for i, release in ipairs(answer) do
    releases[i] = {
      name = term.text(release[1]), version = term.text(release[2]), status = release[4].name,
    }
  end
  return releases
end

--- Unpacks `releases/NAME.tar.gz`.
-- @string name as release_handler wants it, without the ending
-- @return[1] the version
-- @return[2] nil, message, code
function release_handler.unpack_release(node, name, timeout)
  local answer, message, code = call(node, "unpack_release", { charlist(name) }, timeout)
  if not answer then return nil, message, code end
  return term.text(answer[2])
end

--- Evaluates what stands before the point of no return, and changes nothing.
-- @return[1] the version that the relup leads from
-- @return[2] nil, message, code
function release_handler.check_install_release(node, version, timeout)
  local answer, message, code = call(node, "check_install_release", { charlist(version) }, timeout)
  if not answer then return nil, message, code end
  return term.text(answer[2])
end

--- Installs a release that is unpacked.
-- @return[1] the version that was left
-- @return[1] "ok", or "continue_after_restart" where the emulator restarts
-- @return[2] nil, message, code
function release_handler.install_release(node, version, timeout)
  local answer, message, code = call(node, "install_release", { charlist(version) }, timeout)
  if not answer then return nil, message, code end
  return term.text(answer[2]), answer[1].name
end

--- Makes the current release the one that the node starts with.
-- @return[1] true
-- @return[2] nil, message, code
function release_handler.make_permanent(node, version, timeout)
  return call(node, "make_permanent", { charlist(version) }, timeout)
end

return release_handler
