--- The modules of a release that lies on a node's disk: what their files are, and what is loaded.
--
-- From that follows what a relup leaves out, on the way up and on the way down: protocols that consolidate anew lie in no
-- application, and what was patched by hand is in no version. Asks, and changes nothing.
--
-- @module edeliver.relup.deploy.modules

local effects = require "edeliver.relup.script.effects"
local shape = require "edeliver.relup.node.shape"
local term = require "edeliver.relup.term"

local modules = {}

local atom, charlist = term.atom, term.charlist
local TIMEOUT = 120000 -- ms

local MD5 = shape.either(shape.binary, shape.atom)
local ROWS = shape.list(shape.tuple(shape.atom, shape.atom, shape.binary, MD5, MD5))
local PATH = shape.either(shape.binary, shape.is(atom "none"))
local ANSWER = shape.either(shape.tuple(ROWS, PATH, shape.list(shape.binary)), shape.tuple(shape.is(atom "error"), shape.any))

-- An md5 in hexadecimal digits; nil where there is none.
local function hex(md5)
  if md5 == atom "there" then return "there" end
  if type(md5) ~= "string" then return nil end
  return (md5:gsub(".", function(c) return ("%02x"):format(c:byte()) end))
end

--- Those of a version.
-- @param node
-- @string version
-- @tparam[opt] boolean unread no file is read: `file` is "there" where it is
-- @return[1] a list of `{ name =, application =, path = of its file, file = md5, or nil, loaded = md5, or nil, consolidated = }`,
-- with `consolidated`, the folder of its consolidated protocols, or nil, and `paths`, such folders in the node's code path
-- @return[2] nil, message, code
function modules.of(node, version, unread)
  local answer, message, code = shape.expect(node, "release_modules.erl", ANSWER,
    node:run("release_modules", { Version = charlist(version), Read = not unread }, TIMEOUT))
  if answer == nil then return nil, message, code end
  if answer[1] == atom "error" then
    return nil, ("%s cannot read its release %s: %s"):format(node.name, version, term.format(answer[2])), "no_release"
  end
  local found = { consolidated = answer[2] ~= atom "none" and answer[2] or nil, paths = {} }
  for i = 1, #answer[3] do found.paths[i] = answer[3][i] end
  for i = 1, #answer[1] do
    local row = answer[1][i]
    local path = row[3]
    found[i] = {
      name = row[1].name, application = row[2].name, path = path, file = hex(row[4]), loaded = hex(row[5]),
      consolidated = found.consolidated ~= nil and path:sub(1, #found.consolidated + 1) == found.consolidated .. "/",
    }
  end
  return found
end

-- The modules that a script loads, by name.
local function loaded_by(script)
  local names = {}
  for _, module in ipairs(effects.loaded(script)) do names[term.text(module)] = true end
  return names
end

-- Nothing replaces these while they run: the plan is cold where they change, and a patch of them stays.
local CORE = { kernel = true, stdlib = true, compiler = true }

--- What an install has to load besides what its relup says.
-- @tparam table found what `of` gave, of the version that is to be installed
-- @tparam table script the instructions of the relup
-- @return `load`, a list of `{ module = atom, path = }`, and `paths`, a list of `{ from =, to = }`, as `step.engine` takes them
function modules.missing_in(found, script)
  local known, load, paths = loaded_by(script), {}, {}
  for _, module in ipairs(found) do
    local differs = module.file and module.file ~= module.loaded
    -- What is new and no protocol is loaded by the relup, or by whoever calls it first.
    local wanted = differs and (module.consolidated or module.loaded and not known[module.name])
    if wanted and not CORE[module.application] then
      load[#load + 1] = { module = atom(module.name), path = module.path }
    end
  end
  for _, from in ipairs(found.consolidated and found.paths or {}) do
    if from ~= found.consolidated then paths[#paths + 1] = { from = from, to = found.consolidated } end
  end
  return load, paths
end

return modules
