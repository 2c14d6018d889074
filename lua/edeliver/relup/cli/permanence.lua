--- What `make-permanent` and `upgrade --permanent` share: says what it costs, asks, and makes the release that runs permanent.
--
-- @module edeliver.relup.cli.permanence

local exit = require "edeliver.relup.cli.exit"
local output = require "edeliver.relup.cli.output"
local permanent = require "edeliver.relup.step.permanent"
local release_handler = require "edeliver.relup.otp.release_handler"
local session = require "edeliver.relup.cli.session"

local permanence = {}

-- Whether that version is the one that runs, and not permanent yet. True; false where it is permanent, however the node is
-- started again; nil, message, code.
local function look(node, version, releases)
  local now, before = release_handler.running(releases), release_handler.permanent(releases)
  if not now or now.version ~= version then
    return nil, ("%s runs %s, not %s: only the release that runs can be made permanent"):format(node.name,
      now and now.version or "no release", version), "not_running"
  end
  if now.status == "permanent" then
    local stays, message, code = permanent.stays(node, version)
    if stays == nil then return nil, message, code end
    if stays then return false end
  end
  return permanent.look(node, before and before.version or version, version)
end

--- Makes a version permanent, and says it.
-- @param args of the command line; with `dry_run` it is only said what it would cost
-- @param node
-- @tparam ?string version by default the one that runs
-- @return exit code
function permanence.run(args, node, version)
  local out = args.output
  local releases, message, code = release_handler.which_releases(node)
  local now = releases and release_handler.running(releases)
  version = version or now and now.version
  local fine, said
  if releases then fine, message, code = look(node, version or "nothing", releases) end
  if fine then said, message, code = permanent.casualties(node) end
  if fine == nil or fine and not said then
    out:fail(message, code)
    return exit.of(code)
  end
  out:give { version = version, casualties = output.array(said or {}), was_permanent = not fine, dry_run = args.dry_run }
  if not fine then
    out:line(("%s starts with %s already."):format(node.name, version))
    return exit.OK
  end
  for _, sentence in ipairs(said) do out:line(sentence .. ".", "yellow") end
  if args.dry_run then
    out:line(("%s would start with %s; nothing it needs for that is missing."):format(node.name, version))
    return exit.OK
  end
  if not session.confirm(args, ("Makes %s permanent on %s."):format(version, node.name)) then return exit.REFUSED end
  local made
  made, message, code = permanent.make(node, version, function(text, kind)
    if kind ~= "casualty" then out:line(text .. ".", "yellow") end
  end)
  if not made then
    out:fail(message, code)
    return exit.FAILED
  end
  out:line(made .. ".", "green")
  return exit.OK
end

return permanence
