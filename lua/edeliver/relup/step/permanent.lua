--- Makes a release the one that the node starts with: first it looks at what the next start will need, and who has to die for it.
--
-- Knows no sequence.
--
-- @module edeliver.relup.step.permanent

local consult = require "edeliver.relup.consult"
local count = require "edeliver.relup.base.count"
local release_folder = require "edeliver.relup.otp.release_folder"
local release_handler = require "edeliver.relup.otp.release_handler"
local room = require "edeliver.relup.step.room"
local shape = require "edeliver.relup.node.shape"
local tarballs = require "edeliver.relup.otp.tarball"
local term = require "edeliver.relup.term"

local permanent = {}

local TIMEOUT = 60000 -- ms

-- What start scripts of mix, relx and OTP read below releases/VERSION. A release needs those that the one before has.
local NEEDED = {
  "start.boot", "sys.config", "vm.args", "env.sh", "remote.vm.args", "start_clean.boot", "no_dot_erlang.boot", "elixir",
}

local LISTED = shape.either(shape.tuple(shape.is(term.atom "ok"), shape.list(shape.text)),
  shape.tuple(shape.is(term.atom "error"), shape.any))

-- The names in a folder, as a set; an empty one where there is no such folder.
local function list(node, path)
  local answer, message, code = shape.expect(node, "file:list_dir", LISTED,
    node:call("file", "list_dir", { term.charlist(path) }))
  if not answer then return nil, message, code end
  local names = {}
  if answer[1] == term.atom "ok" then
    for _, name in ipairs(answer[2]) do names[shape.to_text(name)] = true end
  end
  return names
end

-- What the version has below its own folder, unpacked or in its tarball.
local function names_of(node, folder, version, tarball)
  if not tarball then return list(node, ("%s/%s"):format(folder, version)) end
  local names = {}
  for name in pairs(tarball.names) do
    local own = name:match("^releases/[^/]+/([^/]+)$")
    if own then names[own] = true end
  end
  return names
end

-- The runtime.exs that a config provider reads at the next start, by the version's own sys.config; false where it reads none.
local function runtime_config(node, version, tarball)
  local text, message, code
  if tarball then
    text = tarball.texts[("releases/%s/sys.config"):format(version)]
  else
    text, message, code = release_folder.read(node, version .. "/sys.config")
  end
  if text == nil and message then return nil, message, code end
  -- mix writes it as a binary of numbers.
  local terms = type(text) == "string" and consult.parse(text)
  local path = ("/releases/%s/runtime.exs"):format(version)
  return terms and #terms == 1 and term.format(terms[1]):find(path, 1, true) ~= nil and "runtime.exs" or false
end

-- The version of erts that the release's .rel file names; nil where none can be read.
local function erts_of(node, version, tarball, has)
  if tarball then return tarball.rel.erts end
  for name in pairs(has) do
    local text = name:find "%.rel$" and release_folder.read(node, version .. "/" .. name)
    local rel = type(text) == "string" and tarballs.rel(text)
    if rel then return rel.erts end
  end
end

-- The emulator that a start of the release looks for and does not find, where the node brings its own.
local function missing_erts(node, version, tarball, has)
  local root, message, code = release_folder.root(node)
  local names
  if root then names, message, code = list(node, root) end
  if not names then return nil, message, code end
  local has_any = false
  for name in pairs(names) do has_any = has_any or name:find "^erts%-" ~= nil end
  local erts = has_any and erts_of(node, version, tarball, has)
  local wanted = erts and "erts-" .. erts
  if not wanted or names[wanted] then return nil end
  for name in pairs(tarball and tarball.names or {}) do
    if name:sub(1, #wanted + 1) == wanted .. "/" then return nil end
  end
  return wanted
end

--- Whether the next start would find what it needs.
-- @param node
-- @string before the version that the node starts with now
-- @string version
-- @param[opt] tarball what `otp.tarball` read, where the version is not unpacked
-- @return[1] true
-- @return[2] nil, message, code: "no_start"; "no_rights", also where the tree is read-only
function permanent.look(node, before, version, tarball)
  local folder, message, code = release_folder.path(node)
  local has, had
  if folder then has, message, code = names_of(node, folder, version, tarball) end
  if has then had, message, code = list(node, ("%s/%s"):format(folder, before)) end
  local runtime
  if had then runtime, message, code = runtime_config(node, version, tarball) end
  if runtime == nil then return nil, message, code end
  local missing = {}
  for _, name in ipairs(NEEDED) do
    -- relx makes some of them when the node starts.
    if not has[name] and not has[name .. ".src"] and (had[name] or name == "start.boot") then
      missing[#missing + 1] = ("releases/%s/%s"):format(version, name)
    end
  end
  if runtime and not has[runtime] then missing[#missing + 1] = ("releases/%s/%s"):format(version, runtime) end
  local erts
  erts, message, code = missing_erts(node, version, tarball, has)
  if message then return nil, message, code end
  missing[#missing + 1] = erts
  if #missing > 0 then
    return nil, ("%s would not start with %s: %s %s missing. It can be installed and not made permanent"):format(
      node.name, version, table.concat(missing, ", "), count.verb(#missing, "is", "are")), "no_start"
  end
  local fine
  fine, message, code = room.to_make_permanent(node)
  if fine then return true end
  if code ~= "no_rights" then return nil, message, code end
  return nil, ("%s. Where its files are an image's, the next start takes what is there: put %s into the image. It can be "
    .. "installed and not made permanent"):format(message, version), code
end

--- Who runs old code, and may be killed when a release is made permanent: what is left to be purged is purged then.
-- @return[1] a list of sentences
-- @return[2] nil, message, code
function permanent.casualties(node)
  local old, pids, code = release_handler.running_old_code(node)
  if not old then return nil, pids, code end
  local said = {}
  for i, entry in ipairs(old) do
    said[i] = ("%s run old code of %s, and end when the release is made permanent if its post-purge is brutal_purge"):format(
      tostring(entry.pids), entry.module)
  end
  return said
end

local OK, OTP = shape.is(term.atom "ok"), shape.is(term.atom "otp")
local MADE = shape.either(OTP, shape.tuple(OK, shape.list(shape.any)), shape.tuple(shape.is(term.atom "error"), shape.any))
local NOT_WRITTEN = shape.tuple(shape.text, shape.tuple(shape.is(term.atom "error"), shape.any))
local BAD_STATUS = shape.tuple(shape.is(term.atom "bad_status"), shape.atom)
local HEART = shape.tuple(shape.is(term.atom "heart"), shape.any)

-- What else the operator has to know of the next start.
local function tell(node, version, notes, say)
  for _, note in ipairs(notes) do
    if note == term.atom "container" then
      say(("%s runs in a container: it starts with %s as long as this container is there. The next one starts with what is in "
        .. "its image"):format(node.name, version))
    elseif HEART(note) then
      say(("heart would start the release that the node was started as: its command cannot be changed (%s). Set HEART_COMMAND "
        .. "to start bin/NAME without RELEASE_VSN"):format(term.format(note[2])))
    end
  end
end

local function explain(reason)
  if NOT_WRITTEN(reason) then
    return ("%s could not be written (%s); the node starts as before"):format(shape.to_text(reason[1]), term.format(reason[2][2]))
  elseif BAD_STATUS(reason) then
    return ("its status is %s, and only the release that runs can be made permanent"):format(shape.to_text(reason[2]))
  end
  return term.format(reason)
end

-- Where its release_handler keeps books of another kind, OTP does it alone.
local function make_by_otp(node, version, say)
  local made, message, code = release_handler.make_permanent(node, version, TIMEOUT)
  if not made then return nil, message, code end
  say(("release_handler of %s wrote start_erl.data and RELEASES in place, and its start script's variables are as they were: "
    .. "start it anew with bin/NAME, not by a restart from inside"):format(node.name))
  return true
end

--- Whether a node that is asked to restart from inside (`init:restart`, `System.restart`) comes back with this version: the start
-- script of mix leaves the version in its environment.
-- @return[1] boolean
-- @return[2] nil, message, code
function permanent.stays(node, version)
  local set, message, code = shape.expect(node, "os:getenv", shape.either(shape.is(false), shape.text),
    node:call("os", "getenv", { term.charlist "RELEASE_VSN" }))
  if set == nil then return nil, message, code end
  return set == false or shape.to_text(set) == version
end

--- Makes the release that runs permanent: the node starts with it from now on, however it is started. One that is permanent
-- already gets only what a restart from inside goes by.
-- @param node
-- @string version
-- @tparam function say gets a sentence, and "casualty" with it for each who may die of it; the others are of the next start
-- @return[1] what was done, in words
-- @return[2] nil, message, code
function permanent.make(node, version, say)
  local said, message, code = permanent.casualties(node)
  if not said then return nil, message, code end
  for _, sentence in ipairs(said) do say("make_permanent: " .. sentence, "casualty") end
  local answer
  answer, message, code = shape.expect(node, "whether it is permanent", MADE, node:run("make_permanent", {
    Version = term.charlist(version),
  }, TIMEOUT))
  if answer == term.atom "otp" then
    answer, message, code = make_by_otp(node, version, say)
  elseif answer and not OK(answer[1]) then
    answer, message, code = nil, explain(answer[2]), "refused"
  elseif answer then
    tell(node, version, answer[2], say)
  end
  if not answer then return nil, ("%s could not be made permanent: %s"):format(version, message), code end
  return ("%s starts with %s from now on"):format(node.name, version)
end

return permanent
