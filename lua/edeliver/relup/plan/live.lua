--- The release that runs on a node, as `edeliver.relup.release` has releases: from what is loaded there and from the files below
-- its root.
--
-- A module's code is what is loaded; where that is not what its file has, it was patched by hand. Asks, and changes nothing.
--
-- @module edeliver.relup.plan.live

local core = require "edeliver.relup.core"
local release = require "edeliver.relup.release"
local shape = require "edeliver.relup.node.shape"
local supervision_trees = require "edeliver.relup.otp.supervision_trees"
local term = require "edeliver.relup.term"

local live = {}
local source = {}
source.__index = source

local atom, tuple, list, charlist = term.atom, term.tuple, term.list, term.charlist

local MAX_TEXT = 16 << 20
local TIMEOUT = 60000
local BATCH = 40 -- files of one question: each has some 25 KB

local TEXTS = shape.either(shape.is(atom "no_release"), shape.tuple(shape.text, shape.text, shape.text,
  shape.list(shape.tuple(shape.binary, shape.binary)), shape.list(shape.binary)))
local MD5 = shape.either(shape.binary, shape.is(atom "none"))
local MD5S = shape.tuple(shape.list(shape.tuple(shape.any, shape.integer, MD5, MD5, shape.boolean)), shape.list(shape.atom))
local DIGESTS = shape.list(shape.tuple(shape.binary, shape.integer, shape.binary))
local READ = shape.list(shape.tuple(shape.binary, shape.any))
local COUNTS = shape.list(shape.tuple(shape.any, shape.atom, shape.integer))

local function hex(bytes) return (bytes:gsub(".", function(c) return ("%02x"):format(c:byte()) end)) end

local function ask(node, name, has, bindings)
  return shape.expect(node, name .. ".erl", has, node:run(name, bindings, TIMEOUT))
end

-- As release.source: texts are here already, all else is a name.
function source:each(visitor)
  for _, file in ipairs(self.texts) do
    local done, message, code = true, nil, nil
    if visitor.wants(file[1]) == "text" then done, message, code = visitor.file(file[1], file[2]) end
    if not done then return nil, message, code end
  end
  for _, name in ipairs(self.beams) do visitor.digest(name) end
  return true
end

local function read_batch(self, names, visit)
  local paths = {}
  for i, name in ipairs(names) do paths[i] = name end
  local answers, message, code = ask(self.node, "read_files", READ, { Root = charlist(self.root), Paths = list(paths) })
  if not answers then return nil, message, code end
  for _, answer in ipairs(answers) do
    if type(answer[2]) ~= "string" then
      return nil, ("%s/%s: %s"):format(self.path, answer[1], term.format(answer[2])), "system"
    end
    local done
    done, message, code = visit(answer[1], answer[2])
    if not done then return nil, message, code end
  end
  return true
end

function source:read(names, visit)
  local sorted = {}
  for name in pairs(names) do sorted[#sorted + 1] = name end
  table.sort(sorted)
  for first = 1, #sorted, BATCH do
    local batch = table.move(sorted, first, math.min(first + BATCH - 1, #sorted), 1, {})
    local done, message, code = read_batch(self, batch, visit)
    if not done then return nil, message, code end
  end
  return true
end

-- The names of all modules that the .app files name, since their folders are not listed: .app files are small, and are here.
local function add_beams(texts, beams)
  for _, file in ipairs(texts) do
    local folder = file[1]:match "^(lib/[^/]+/ebin)/[^/]+%.app$"
    local app = folder and release.read_application(file[2])
    for _, name in ipairs(app and app.modules or {}) do beams[#beams + 1] = ("%s/%s.beam"):format(folder, name) end
  end
end

local function source_of(node, answer)
  local texts, beams = {}, {}
  for i = 1, #answer[4] do texts[i] = { answer[4][i][1], answer[4][i][2] } end
  for i = 1, #answer[5] do beams[i] = answer[5][i] end
  add_beams(texts, beams)
  local root = shape.to_text(answer[3])
  return setmetatable({ node = node, kind = "node", root = root, path = ("%s:%s"):format(node.name, root), texts = texts,
    beams = beams }, source)
end

-- Fills in what is loaded.
local function add_md5s(self, node, root)
  local asked = {}
  for name, module in pairs(self.modules) do asked[#asked + 1] = tuple { atom(name), module.path } end
  local answers, message, code = ask(node, "module_md5s", MD5S, { Root = charlist(root), Modules = list(asked) })
  if not answers then return nil, message, code end
  for _, answer in ipairs(answers[1]) do
    local module = self.modules[term.text(answer[1])]
    local of_file = type(answer[3]) == "string" and hex(answer[3]) or nil
    local loaded = type(answer[4]) == "string" and hex(answer[4]) or nil
    module.size, module.behaves = answer[2], answer[5]
    module.md5 = loaded or of_file
    if loaded and of_file and loaded ~= of_file then self.hot_patched[#self.hot_patched + 1] = module.name end
  end
  for i = 1, #answers[2] do self.unfiled[i] = answers[2][i].name end
  table.sort(self.unfiled)
  table.move(self.unfiled, 1, #self.unfiled, #self.hot_patched + 1, self.hot_patched)
  table.sort(self.hot_patched)
  return true
end

local function add_files(self, node, root)
  for _, file in ipairs(self.source.texts) do
    self.files[file[1]] = { path = file[1], size = #file[2], md5 = core.md5(file[2]) }
  end
  local libraries = {}
  for _, application in pairs(self.applications) do
    libraries[#libraries + 1] = charlist(("lib/%s-%s/priv"):format(application.name, application.version))
  end
  local answers, message, code = ask(node, "file_digests", DIGESTS,
    { Root = charlist(root), Folders = list(libraries) })
  if not answers then return nil, message, code end
  for _, answer in ipairs(answers) do self.files[answer[1]] = { path = answer[1], size = answer[2], md5 = hex(answer[3]) } end
  return true
end

-- "x86_64-pc-linux-gnu", "aarch64-unknown-linux-gnu"
local function add_machine(self, node)
  local answer, message, code = shape.expect(node, "erlang:system_info", shape.text,
    node:call("erlang", "system_info", { atom "system_architecture" }))
  if not answer then return nil, message, code end
  self.machine = shape.to_text(answer):match "^([%w_]+)%-"
  return true
end

--- The release that runs.
-- @param node
-- @return[1] a release whose modules and files have an `md5` instead of a hash, with `hot_patched`: names of modules whose code
-- is not that of their file, and of those that have none, which are `unfiled`
-- @return[2] nil, message, code: "no_release" where the node does not know what it runs, or has no files of it
function live.release(node)
  local answer, message, code = ask(node, "release_texts", TEXTS, { Most = MAX_TEXT })
  if answer == nil then return nil, message, code end
  if answer == atom "no_release" then
    return nil, ("%s does not run a release: it was not started by a boot script with a name"):format(node.name), "no_release"
  end
  -- The one of an installation of Erlang, "Erlang/OTP".
  if shape.to_text(answer[1]):find "/" then
    return nil, ("%s does not run a release: it was started by the boot script of %s %s itself"):format(node.name,
      shape.to_text(answer[1]), shape.to_text(answer[2])), "no_release"
  end
  local from = source_of(node, answer)
  local self
  self, message, code = release.from(from, { version = shape.to_text(answer[2]) })
  if not self then return nil, message, code end
  self.hot_patched, self.unfiled, self.is_live, self.node = {}, {}, true, node
  local done
  done, message, code = add_machine(self, node)
  if done then done, message, code = add_md5s(self, node, from.root) end
  if done then done, message, code = add_files(self, node, from.root) end
  if not done then return nil, message, code end
  return self
end

--- How many processes modules are the callback of, or have begun.
-- @param node
-- @tparam table names a list of modules' names
-- @return[1] a list of `{ module =, count =, found_by = }`, sorted; `found_by` is "initial_call", "channel", "live_view", "spawn"
-- or "supervisor" (of which only child specs tell); no process is counted twice for a module
-- @return[1] why the supervision trees could not be walked, in words, or nil
-- @return[2] nil, message, code
function live.processes(node, names)
  local modules, found, has = {}, {}, {}
  if #names == 0 then return found end
  for _, name in ipairs(names) do
    if not has[name] then modules[#modules + 1] = atom(name) end
    has[name] = true
  end
  local _, late, _, named = supervision_trees.walk(node, { table.unpack(modules) })
  local answers, message, code = ask(node, "processes_of", COUNTS, { Modules = list(modules), Named = named or list {} })
  if not answers then return nil, message, code end
  for i, answer in ipairs(answers) do
    found[i] = { module = term.text(answer[1]), count = answer[3], found_by = answer[2].name }
  end
  table.sort(found, function(a, b)
    if a.module ~= b.module then return a.module < b.module end
    return a.found_by < b.found_by
  end)
  return found, not named and late or nil
end

return live
