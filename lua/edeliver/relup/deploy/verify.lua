--- Whether a node is what its new release says: each loaded module by its md5, the children of supervisors, removed modules.
--
-- Everybody runs meanwhile. Asks, and changes nothing.
--
-- @module edeliver.relup.deploy.verify

local count = require "edeliver.relup.base.count"
local modules = require "edeliver.relup.deploy.modules"
local shape = require "edeliver.relup.node.shape"
local term = require "edeliver.relup.term"

local verify = {}

local TIMEOUT = 60000 -- ms
local NAMES = 3 -- that are shown of a kind

local CHILDREN = shape.list(shape.tuple(shape.atom, shape.pid, shape.any, shape.atom))

local function short(name) return (name:gsub("^Elixir%.", "")) end

local function atoms(names)
  local list = {}
  for i, name in ipairs(names) do list[i] = term.atom(name) end
  return term.list(list)
end

-- What is wrong with one module, in words; nil where nothing is.
local function problem_of(module, expected)
  if not module.file then return "its file is not on the node" end
  if expected and module.file ~= expected then return "its file on the node is another one" end
  if module.loaded and module.loaded ~= (expected or module.file) then return "other code is loaded" end
  if module.consolidated and not module.loaded then return "it is not loaded" end
  return nil
end

-- Modules that are gone in the release and still loaded.
local function still_there(node, names)
  if #names == 0 then return {} end
  local calls, left = {}, {}
  for i, name in ipairs(names) do calls[i] = term.atom(name) end
  local answers, message, code = node:map("erlang", "module_loaded", calls)
  if not answers then return nil, message, code end
  for i, name in ipairs(names) do
    if answers[i] == true then left[#left + 1] = name end
  end
  return left
end

--- Looks at all modules.
-- @param node
-- @string version the one that should run
-- @tparam table options `md5s` (by module's name: what the release that was deployed says; by default what its files on the node
-- say), `removed` (modules that should be gone)
-- @return[1] `{ modules = how many there are, equal =, not_loaded = (equal ones, that wait for their first call), different =
-- list of { module =, why = } }`
-- @return[2] nil, message, code
function verify.modules(node, version, options)
  local found, message, code = modules.of(node, version)
  if not found then return nil, message, code end
  local left
  left, message, code = still_there(node, options.removed or {})
  if not left then return nil, message, code end
  local seen = { modules = #found, equal = 0, not_loaded = 0, different = {} }
  for _, module in ipairs(found) do
    local why = problem_of(module, options.md5s and options.md5s[module.name])
    if why then
      table.insert(seen.different, { module = module.name, why = why })
    else
      seen.equal = seen.equal + 1
      if not module.loaded then seen.not_loaded = seen.not_loaded + 1 end
    end
  end
  for _, name in ipairs(left) do
    table.insert(seen.different, { module = name, why = "it is gone in the release, and still loaded" })
  end
  return seen
end

local PROBLEMS = {
  missing = "lacks the child %s", not_running = "does not run its child %s", left = "still has the child %s",
}

--- Looks at the children of supervisors whose code has changed, by their new `init`.
-- @param node
-- @tparam table changed names of modules
-- @tparam table removed names of modules that are gone
-- @return[1] a list of sentences: what is wrong
-- @return[2] nil, message, code
function verify.children(node, changed, removed)
  local answer, message, code = shape.expect(node, "children_of.erl", CHILDREN,
    node:run("children_of", { Modules = atoms(changed), Removed = atoms(removed) }, TIMEOUT))
  if not answer then return nil, message, code end
  local said = {}
  for i = 1, #answer do
    local row = answer[i]
    said[i] = ("%s (%s) "):format(short(row[1].name), tostring(row[2]))
      .. (PROBLEMS[row[4].name] or "%s"):format(short(term.format(row[3])))
  end
  return said
end

--- The figures in words: "412 of 412 modules are those of 2.0.0".
function verify.in_words(seen, version)
  local words = ("%d of %s are those of %s"):format(seen.equal, count.of(seen.modules, "module"), version)
  if seen.not_loaded > 0 then words = ("%s (%d of them are loaded when they are first called)"):format(words, seen.not_loaded) end
  return words
end

--- What differs, in words; nil where nothing does.
-- @tparam table seen what `modules` gave
-- @tparam table children what `children` gave
-- @tparam table keys of the configuration, "application.key"
function verify.problem(seen, children, keys)
  local words = {}
  for i = 1, math.min(#seen.different, NAMES) do
    words[i] = ("%s: %s"):format(short(seen.different[i].module), seen.different[i].why)
  end
  if #seen.different > NAMES then words[#words + 1] = ("and %s more"):format(count.of(#seen.different - NAMES, "module")) end
  for _, sentence in ipairs(children) do words[#words + 1] = sentence end
  for i = 1, math.min(#keys, NAMES) do words[#words + 1] = ("%s is not what was resolved"):format(keys[i]) end
  if #keys > NAMES then words[#words + 1] = ("and %s more"):format(count.of(#keys - NAMES, "value")) end
  return words[1] and table.concat(words, "; ")
end

return verify
