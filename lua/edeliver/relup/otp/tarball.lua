--- A release's tarball on a node: where it lies, what is in it, and whether it may be unpacked. It writes nothing.
--
-- mix, rebar3, relx and systools name it differently, and put the .rel file, by which release_handler knows it, in different
-- places. Knows no step.
--
-- @module edeliver.relup.otp.tarball

local consult = require "edeliver.relup.consult"
local release_folder = require "edeliver.relup.otp.release_folder"
local shape = require "edeliver.relup.node.shape"
local term = require "edeliver.relup.term"

local tarball = {}

local charlist = term.charlist
local TIMEOUT = 120000 -- ms: a hundred megabytes take a second
local MOST = 16 << 20 -- bytes of a file in it that is read

-- Why each kind may not be unpacked; the name of the entry follows.
local REFUSED = {
  truncated = "is cut off: upload it again",
  empty = "is empty",
  header = "is no tarball: a header in it is wrong",
  path = "has an entry that leads out of the release's folder",
  link = "has a link that OTP refuses to unpack, because it may lead out of the release's folder",
  through_link = "has an entry behind a link that is in the tarball, too",
  kind = "has an entry that is no file, folder or link",
}

local function is_kind(value) return shape.atom(value) and REFUSED[value.name] ~= nil end
local ENTRY = shape.tuple(shape.binary, shape.either(shape.binary, shape.integer))
local NAMES = shape.list(shape.binary)
local READ = shape.tuple(shape.is(term.atom "read"), shape.integer, shape.binary, shape.list(ENTRY), NAMES, NAMES)
local REFUSAL = shape.tuple(shape.is(term.atom "refused"), is_kind, shape.binary)
local ERROR = shape.tuple(shape.is(term.atom "error"), shape.any)
local ANSWER = shape.either(READ, REFUSAL, ERROR)

--- Where the tarball of a version may lie below the release folder, without the ending: mix and relx, systools, and by hand.
-- @string name of the release
-- @string version
function tarball.places(name, version)
  return { name .. "-" .. version, version .. "/" .. name, version .. "/" .. name .. "-" .. version, version, name }
end

--- The tarballs that are there, of all places where that of a version may lie.
-- @param node
-- @string name of the release
-- @string version
-- @return[1] a list of places; the usual ones first
-- @return[2] nil, message, code
function tarball.find(node, name, version)
  local all, message, code = release_folder.tarballs(node)
  if not all then return nil, message, code end
  local there, found = {}, {}
  for _, file in ipairs(all) do there[file] = true end
  for _, place in ipairs(tarball.places(name, version)) do
    if there[place .. ".tar.gz"] then found[#found + 1] = place end
  end
  return found
end

local RELEASE = shape.tuple(shape.is(term.atom "release"), shape.tuple(shape.text, shape.text),
  shape.tuple(shape.is(term.atom "erts"), shape.text), shape.list())

--- What a .rel file says.
-- @string text
-- @return `{ name =, version =, erts =, libraries = { application = version } }`, or nil
function tarball.rel(text)
  local terms = consult.parse(text)
  local rel = terms and #terms == 1 and RELEASE(terms[1]) and terms[1]
  if not rel then return nil end
  local libraries = {}
  for _, library in ipairs(rel[4]) do
    if term.kind(library) == "tuple" and #library >= 2 and shape.atom(library[1]) then
      libraries[library[1].name] = term.text(library[2])
    end
  end
  return {
    name = shape.to_text(rel[2][1]), version = shape.to_text(rel[2][2]), erts = shape.to_text(rel[3][2]), libraries = libraries,
  }
end

-- The .rel files in it, by their place, as release_handler wants the tarball to be named: `{ ["1.4.6/myapp"] = rel }`.
local function rels_in(texts)
  local found = {}
  for name, text in pairs(texts) do
    local place = name:match "^releases/(.*)%.rel$"
    local rel = place and type(text) == "string" and tarball.rel(text)
    if rel then found[place] = rel end
  end
  return found
end

-- Where the tarball has to lie for release_handler to find its .rel file: where it is; else below its version; else anywhere.
-- The release of another version may be in it as well, as where a build folder that was used twice is packed by hand.
local function place_to_unpack(rels, place, version)
  local function is_meant(other) return rels[other].version == version end
  if rels[place] and is_meant(place) then return place end
  local places = {}
  for other in pairs(rels) do places[#places + 1] = other end
  table.sort(places, function(a, b)
    if is_meant(a) ~= is_meant(b) then return is_meant(a) end
    local below_a, below_b = a:find("/", 1, true) ~= nil, b:find("/", 1, true) ~= nil
    if below_a ~= below_b then return below_a end
    return a < b
  end)
  return places[1]
end

local function to_texts(names)
  local list = {}
  for i, name in ipairs(names) do list[i] = shape.to_text(name) end
  return list
end

local function refusal(node, file, answer)
  local name = shape.to_text(answer[3])
  return nil, ("releases/%s on %s %s%s. Nothing was unpacked"):format(file, node.name, REFUSED[answer[2].name],
    name ~= "" and ": " .. name or ""), "bad_tarball"
end

--- Reads a tarball on the node.
-- @param node
-- @string place below the release folder, without the ending
-- @string version that is meant, where it holds several
-- @return[1] `{ place =, file =, rel = as `rel` gives it, unpack_as = the place that release_handler wants it in, bytes = that
-- unpacking it takes, names = set of the files in it, texts = { name = text } of relup, sys.config and start.boot, missing = list
-- of the version's own files that are not unpacked, differing = list of those that are, with other contents }`
-- @return[2] nil, message, code: "bad_tarball" where it must not be unpacked, or holds no release
function tarball.read(node, place, version)
  local folder, message, code = release_folder.path(node)
  local root
  if folder then root, message, code = release_folder.root(node) end
  if not root then return nil, message, code end
  local file = place .. ".tar.gz"
  local answer
  answer, message, code = shape.expect(node, "what is in a tarball", ANSWER, node:run("read_tarball", {
    Path = charlist(folder .. "/" .. file), Root = charlist(root), Most = MOST,
  }, TIMEOUT))
  if not answer then return nil, message, code end
  if REFUSAL(answer) then return refusal(node, file, answer) end
  if ERROR(answer) then
    return nil, ("releases/%s on %s cannot be read: %s"):format(file, node.name, term.format(answer[2])), "system"
  end
  local names, texts = {}, {}
  for name in answer[3]:gmatch "[^\n]+" do names[name] = true end
  for _, entry in ipairs(answer[4]) do texts[entry[1]] = entry[2] end
  local rels = rels_in(texts)
  local unpack_as = place_to_unpack(rels, place, version)
  if not unpack_as then
    return nil, ("releases/%s on %s holds no release: there is no .rel file below releases/ in it"):format(file, node.name),
      "bad_tarball"
  end
  return {
    place = place, file = file, rel = rels[unpack_as], unpack_as = unpack_as, bytes = answer[2], names = names, texts = texts,
    missing = to_texts(answer[5]), differing = to_texts(answer[6]),
  }
end

--- A file of the version's own folder in it, `releases/VERSION/NAME`.
-- @tparam table read what `read` gave
-- @string name
-- @return the text, or nil; its size where it is too large
function tarball.file(read, name) return read.texts[("releases/%s/%s"):format(read.rel.version, name)] end

return tarball
