--- What the nodes of a rollout say of themselves, held against each other. Asks nobody.
--
-- @module edeliver.relup.cluster.compare

local compare = {}

local function join(list) return table.concat(list, ", ") end

-- The names of nodes by a value of theirs, in order; how many values there are.
local function by(facts, field)
  local groups, order = {}, {}
  for _, fact in ipairs(facts) do
    local value = tostring(fact[field])
    if not groups[value] then
      groups[value] = {}
      order[#order + 1] = value
    end
    table.insert(groups[value], fact.node)
  end
  return groups, order
end

local function in_words(groups, order)
  local words = {}
  for i, value in ipairs(order) do words[i] = ("%s on %s"):format(value, join(groups[value])) end
  return table.concat(words, "; ")
end

local function same(facts, field, what)
  local groups, order = by(facts, field)
  if #order < 2 then return true end
  return nil, ("The nodes do not have the same %s: %s"):format(what, in_words(groups, order)), "not_alike"
end

--- Whether these are several nodes that see nobody: no cluster, or one whose links are all cut.
-- @tparam table facts as `nodes` takes them
-- @treturn boolean
function compare.are_alone(facts)
  for _, fact in ipairs(facts) do
    if #fact.members > 0 then return false end
  end
  return #facts > 1
end

-- Every node has to see the same cluster, itself included; or every one is alone.
local function one_cluster(facts)
  local seen = {}
  if compare.are_alone(facts) then return true end
  for i, fact in ipairs(facts) do
    local members = table.move(fact.members, 1, #fact.members, 1, {})
    members[#members + 1] = fact.node
    table.sort(members)
    seen[i] = { node = fact.node, members = join(members) }
  end
  local groups, order = by(seen, "members")
  if #order < 2 then return true end
  local words = {}
  for i, members in ipairs(order) do words[i] = ("%s: %s"):format(join(groups[members]), members) end
  return nil, ("The nodes do not see the same cluster, so it may be partitioned. What each sees: %s"):format(table.concat(words,
    "; ")), "partition"
end

-- Nodes of one version that run other code than the rest of that version.
local function same_content(facts)
  local of = {}
  for _, fact in ipairs(facts) do
    of[fact.version] = of[fact.version] or {}
    table.insert(of[fact.version], fact)
  end
  for version, group in pairs(of) do
    local groups, order = by(group, "digest")
    if #order > 1 then
      local words = {}
      for i, digest in ipairs(order) do words[i] = join(groups[digest]) end
      return nil, ("%s is not the same code on all nodes that run it (%s): one may have been patched by hand. `plan` against "
        .. "each of them shows what"):format(version, table.concat(words, " differs from ")), "not_alike"
    end
  end
  return true
end

--- Whether these nodes may be upgraded together.
-- @tparam table facts a list of `{ node =, otp =, name =, version =, digest =, members = a list of names }`
-- @string target the version that they are to run
-- @return[1] true
-- @return[2] nil, message, code: "not_alike", "partition", "too_many_versions"
function compare.nodes(facts, target)
  for _, question in ipairs {
    function() return same(facts, "otp", "OTP") end,
    function() return same(facts, "name", "release") end,
    function() return one_cluster(facts) end,
    function()
      local groups, order = by(facts, "version")
      local others = 0
      for _, version in ipairs(order) do
        if version ~= target then others = others + 1 end
      end
      if others < 2 then return true end
      return nil, ("More than two versions would run at once: %s, and %s is to come"):format(in_words(groups, order), target),
        "too_many_versions"
    end,
    function() return same_content(facts) end,
  } do
    local fine, message, code = question()
    if not fine then return nil, message, code end
  end
  return true
end

return compare
