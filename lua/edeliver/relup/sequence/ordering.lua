--- The order that steps must keep, as data: which step comes after which, and why.
--
-- Built-in instructions say it in their `order`, `undoes` and `dependencies`; a user's steps by the same means, `after`,
-- `before` and `because`. The rules bind only steps that are there. Runs nothing: a sequence asks before it runs.
--
-- @module edeliver.relup.sequence.ordering

local instruction = require "edeliver.relup.instruction"

local ordering = {}

local INSTALL = "install"

local function name_of(step) return type(step) == "table" and step.name or step end

-- What is wrong with the steps themselves; `attempt` makes a plain failure of it.
local function refuse(text, ...) error({ refused = text:format(...) }, 0) end

-- What carries the built-in rules of a step: the instruction that it names, or the step itself.
local function definition_of(step)
  local name = name_of(step)
  if instruction.is_built_in(name) then return instruction.load(name) end
  if type(step) == "table" then return step end
  if name == INSTALL then return { name = INSTALL } end
  refuse("there is no step %q", tostring(name))
end

local function names(value)
  if value == nil then return {} end
  return type(value) == "table" and value or { value }
end

-- The positions of each name among the steps.
local function positions_of(steps)
  local positions = {}
  for i, step in ipairs(steps) do
    local name = name_of(step)
    if type(name) ~= "string" then refuse("step %d has no name", i) end
    positions[name] = positions[name] or {}
    table.insert(positions[name], i)
  end
  return positions
end

-- All rules of a step: { after = names, before = names, because = text }.
local function rules_of(step)
  local definition, rules = definition_of(step), {}
  for _, rule in ipairs(definition.order or {}) do rules[#rules + 1] = rule end
  if type(step) == "table" and (step.after or step.before) then
    rules[#rules + 1] = { after = step.after, before = step.before, because = step.because or "the step asks for it" }
  end
  local undoes = definition.undoes
  for _, undone in ipairs(names(undoes)) do
    rules[#rules + 1] = { after = undone, because = "it undoes that step" }
  end
  if undoes then
    rules[#rules + 1] = { after = INSTALL, because = "what is suspended is resumed after the install" }
  end
  for _, dependency in ipairs(definition.dependencies and definition.dependencies() or {}) do
    if type(dependency) == "string" or dependency.name then
      rules[#rules + 1] = { after = name_of(dependency), because = "it depends on that step" }
    end
  end
  return rules
end

-- Every pair of steps that a rule orders: { first, second, because }, the steps by position.
local function collect(steps)
  local positions, edges = positions_of(steps), {}
  local function known(step, other)
    if not positions[other] and other ~= INSTALL and not instruction.is_built_in(other) then
      refuse("%s asks to be before or after %q, which is no step", name_of(step), tostring(other))
    end
    return positions[other] or {}
  end
  for i, step in ipairs(steps) do
    for _, rule in ipairs(rules_of(step)) do
      for _, other in ipairs(names(rule.after)) do
        for _, at in ipairs(known(step, other)) do
          edges[#edges + 1] = { first = at, second = i, because = rule.because }
        end
      end
      for _, other in ipairs(names(rule.before)) do
        for _, at in ipairs(known(step, other)) do
          edges[#edges + 1] = { first = i, second = at, because = rule.because }
        end
      end
    end
  end
  return edges
end

-- Pairs of a step and the one that undoes it, by position.
local function undone_pairs(steps)
  local positions, pairs_found = positions_of(steps), {}
  for i, step in ipairs(steps) do
    for _, undone in ipairs(names(definition_of(step).undoes)) do
      for _, at in ipairs(positions[undone] or {}) do pairs_found[#pairs_found + 1] = { done = at, undone = i } end
    end
  end
  return pairs_found
end

-- What was suspended last is resumed first.
local function collect_mirrored(steps)
  local edges, found = {}, undone_pairs(steps)
  for _, a in ipairs(found) do
    for _, b in ipairs(found) do
      if a.done < b.done and a.undone ~= b.undone then
        edges[#edges + 1] = {
          first = b.undone, second = a.undone,
          because = ("%s was done after %s, and is undone before it"):format(name_of(steps[b.done]), name_of(steps[a.done])),
        }
      end
    end
  end
  return edges
end

-- Instructions that undo a built-in one, by the name of what they undo.
local function undoers()
  local found = {}
  for _, name in ipairs(instruction.names) do
    local undoes = instruction.load(name).undoes
    if undoes then found[undoes] = name end
  end
  return found
end

-- A suspend without its resume in the same sequence, or nil.
local function find_missing(steps)
  local positions, by_suspend, undone = positions_of(steps), undoers(), {}
  for _, pair in ipairs(undone_pairs(steps)) do undone[pair.done] = true end
  for i, step in ipairs(steps) do
    local name = name_of(step)
    if by_suspend[name] and not undone[i] and not positions[by_suspend[name]] then
      return ("%s has no %s behind it: what a sequence suspends, the same sequence resumes"):format(name, by_suspend[name])
    end
  end
  return nil
end

local function protected(work, steps)
  local done, result, message = pcall(work, steps)
  if not done then
    if type(result) ~= "table" or not result.refused then error(result, 0) end
    result, message = nil, result.refused
  end
  if result == nil then return nil, message, "order" end
  return result
end

local function all_edges(steps)
  local edges = collect(steps)
  for _, edge in ipairs(collect_mirrored(steps)) do edges[#edges + 1] = edge end
  return edges
end

local function violations(steps)
  local found, known = {}, {}
  for _, edge in ipairs(all_edges(steps)) do
    local pair = edge.first * #steps + edge.second
    if edge.first > edge.second and not known[pair] then found[#found + 1], known[pair] = edge, true end
  end
  return found
end

--- Every pair of steps in a wrong order, with the first reason that forbids it.
-- @treturn[1] table a list of `{ first = , second = , because = }`: positions of the step that should come first, and of the
-- one that should come second
-- @treturn[2] nil
-- @treturn[2] string what is wrong with a step
-- @treturn[2] string "order"
function ordering.violations(steps) return protected(violations, steps) end

--- The first suspend that has no resume in the same sequence, as a sentence; nil where all have.
-- @treturn ?string
ordering.missing = find_missing

local function check(steps)
  local edge = violations(steps)[1]
  if edge then
    return nil, ("%s (step %d) must come before %s (step %d): %s"):format(
      name_of(steps[edge.first]), edge.first, name_of(steps[edge.second]), edge.second, edge.because)
  end
  local missing = find_missing(steps)
  if missing then return nil, missing end
  return true
end

--- Whether steps are in an order that all of them allow, and every suspend has its resume.
-- @param steps names of instructions, "install", and tables with `name`, `after`, `before` (a name or a list of names),
-- `because`, `undoes`
-- @treturn[1] boolean true
-- @treturn[2] nil
-- @treturn[2] string both steps, with their places, and the reason
-- @treturn[2] string "order"
function ordering.check(steps) return protected(check, steps) end

-- Follows steps that wait for one another, until one comes up again.
local function describe_cycle(steps, waiting)
  local at, path, seen = #steps, {}, {}
  for i in pairs(waiting) do at = math.min(at, i) end
  while not seen[at] do
    path[#path + 1] = at
    seen[at] = #path
    at = waiting[at].first
  end
  local parts = {}
  for i = #path, seen[at], -1 do
    local edge = waiting[path[i]]
    parts[#parts + 1] = ("%s before %s (%s)"):format(name_of(steps[edge.first]), name_of(steps[edge.second]), edge.because)
  end
  return "these steps wait for one another: " .. table.concat(parts, ", ")
end

-- Takes the first step of the given order that waits for no other, again and again.
local function sort_by(steps, edges)
  local sorted, placed = {}, {}
  while #sorted < #steps do
    local waiting = {}
    for _, edge in ipairs(edges) do
      if not placed[edge.first] and not placed[edge.second] then waiting[edge.second] = waiting[edge.second] or edge end
    end
    local chosen
    for i = 1, #steps do
      if not placed[i] and not waiting[i] then chosen = i break end
    end
    if not chosen then return nil, describe_cycle(steps, waiting) end
    placed[chosen] = true
    sorted[#sorted + 1] = steps[chosen]
  end
  return sorted
end

local function sort(steps)
  local sorted, message = sort_by(steps, collect(steps))
  if not sorted then return nil, message end
  -- Which resume comes first depends on where the suspends are now.
  return sort_by(sorted, all_edges(sorted))
end

--- Steps in an order that all of them allow; the given order stays wherever it may.
-- @treturn[1] table the same steps, in a new list
-- @treturn[2] nil
-- @treturn[2] string the cycle, with its reasons, or what else is wrong
-- @treturn[2] string "order"
function ordering.sort(steps) return protected(sort, steps) end

return ordering
