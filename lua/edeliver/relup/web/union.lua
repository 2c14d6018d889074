--- Several sites as one: an umbrella's endpoints, or endpoints on different servers. Asks each of them, and puts the answers
-- together; knows no server.
--
-- @classmod edeliver.relup.web.union

local site = require "edeliver.relup.web.site"

local union = {}
union.__index = union
union.__name = site.__name

--- One site of a list of them: itself where it is the only one.
-- @param node
-- @tparam table sites at least one
function union.as_one(node, sites)
  if #sites == 1 then return sites[1] end
  local listeners, endpoints = {}, {}
  for _, one in ipairs(sites) do
    table.move(one.listeners, 1, #one.listeners, #listeners + 1, listeners)
    table.move(one.endpoints or {}, 1, #(one.endpoints or {}), #endpoints + 1, endpoints)
  end
  return setmetatable({ node = node, sites = sites, listeners = listeners, endpoints = endpoints }, union)
end

-- What each site answers, in a list; the first that fails ends it.
local function ask_all(self, method, ...)
  local answers = {}
  for i, one in ipairs(self.sites) do
    local message, code
    answers[i], message, code = one[method](one, ...)
    if answers[i] == nil or answers[i] == false then return nil, message, code end
  end
  return answers
end

-- A list of all that the sites' lists hold.
local function append(self, method, ...)
  local answers, message, code = ask_all(self, method, ...)
  if not answers then return nil, message, code end
  local all = {}
  for _, answer in ipairs(answers) do table.move(answer, 1, #answer, #all + 1, all) end
  return all
end

-- A pid set of all that the sites' sets hold.
local function plus(self, method, ...)
  local answers, message, code = ask_all(self, method, ...)
  if not answers then return nil, message, code end
  local all = self.node:pids {}
  for _, answer in ipairs(answers) do all = all:plus(answer) end
  return all
end

function union:describe()
  local words = {}
  for i, one in ipairs(self.sites) do words[i] = one:describe() end
  return table.concat(words, "; ")
end
union.__tostring = union.describe

-- The first site that misses something says what.
local function missing(self, method, ...)
  for _, one in ipairs(self.sites) do
    local what = one[method](one, ...)
    if what then return what end
  end
end

function union:missing_acceptors(refuse) return missing(self, "missing_acceptors", refuse) end
function union:missing_connections() return missing(self, "missing_connections") end
function union:acceptors() return append(self, "acceptors") end
function union:acceptors_again() return append(self, "acceptors_again") end
function union:reopening() return append(self, "reopening") end
function union:requests() return plus(self, "requests") end

--- As for other sites: the connections of all of them.
function union:connections()
  local answers, message, code = ask_all(self, "connections")
  if not answers then return nil, message, code end
  local all = {}
  for _, kind in ipairs { "websockets", "http", "idle", "channels" } do
    all[kind] = self.node:pids {}
    for _, answer in ipairs(answers) do all[kind] = all[kind]:plus(answer[kind]) end
  end
  return all
end

--- As for other sites, where all have the same; where they differ ("auto" may), each keeps its own, and it is "mixed".
function union:target(target)
  local answers, message, code = ask_all(self, "target", target)
  if not answers then return nil, message, code end
  self.chosen = answers
  for _, answer in ipairs(answers) do
    if answer ~= answers[1] then return "mixed" end
  end
  return answers[1]
end

--- What to suspend, of each site by its own target.
function union:new_targets(target, known)
  local all = self.node:pids {}
  for i, one in ipairs(self.sites) do
    local new, message, code = one:new_targets(target == "mixed" and self.chosen[i] or target, known)
    if not new then return nil, message, code end
    all = all:plus(new)
  end
  return all
end

union.targets = site.targets

--- As for other sites. One whose channels are suspended has nothing to hide, and it does no harm.
function union:hide(ctx)
  local answers, message, code = ask_all(self, "hide", ctx)
  return answers and true, message, code
end

--- As for other sites.
function union:show()
  local answers, message, code = ask_all(self, "show")
  return answers and true, message, code
end

return union
