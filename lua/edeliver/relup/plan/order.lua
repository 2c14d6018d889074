--- Groups of instructions that depend on each other, each in the order of its dependencies: who depends stands before what it
-- depends on, and those that depend on each other in a circle stand together, in their own order.
--
-- @module edeliver.relup.plan.order

local order = {}

-- The strong components of a graph, as Tarjan finds them: what is depended on comes first.
local function strong_components(nodes, edges)
  local index, low, on_stack, stack, found, count = {}, {}, {}, {}, {}, 0
  local function visit(node)
    count = count + 1
    index[node], low[node] = count, count
    stack[#stack + 1] = node
    on_stack[node] = true
    for _, other in ipairs(edges[node]) do
      if not index[other] then
        visit(other)
        low[node] = math.min(low[node], low[other])
      elseif on_stack[other] then
        low[node] = math.min(low[node], index[other])
      end
    end
    if low[node] ~= index[node] then return end
    local component = {}
    repeat
      local member = table.remove(stack)
      on_stack[member] = nil
      component[#component + 1] = member
    until member == node
    found[#found + 1] = component
  end
  for k = #nodes, 1, -1 do
    if not index[nodes[k]] then visit(nodes[k]) end
  end
  return found
end

-- Which nodes hang together, whatever the direction.
local function weak_components(nodes, edges)
  local parent = {}
  local function root(node)
    while parent[node] do node = parent[node] end
    return node
  end
  for _, node in ipairs(nodes) do
    for _, other in ipairs(edges[node]) do
      local a, b = root(node), root(other)
      if a ~= b then parent[a] = b end
    end
  end
  return root
end

--- Groups instructions.
-- @tparam table instructions
-- @func key_of gives what an instruction is about
-- @func needs_of gives the list of what it depends on
-- @func refuse is called with code, text and a key's text where something is there twice, or not at all; it raises
-- @return a table from each instruction to its group, a list of instructions
function order.groups(instructions, key_of, needs_of, refuse)
  local nodes, by_key, position = {}, {}, {}
  for k, instruction in ipairs(instructions) do
    local key = key_of(instruction)
    if by_key[key] then refuse("muldef_module", "It has two instructions for %s.", tostring(key)) end
    nodes[k], by_key[key], position[key] = key, instruction, k
  end
  local edges = {}
  for _, key in ipairs(nodes) do
    local needs = needs_of(by_key[key])
    edges[key] = {}
    for k = 1, #needs do
      if not by_key[needs[k]] then
        refuse("undef_module", "It depends on %s, for which it has no instruction.", tostring(needs[k]))
      end
      table.insert(edges[key], needs[k])
    end
  end
  local root, members, group_of = weak_components(nodes, edges), {}, {}
  local components = strong_components(nodes, edges)
  for k = #components, 1, -1 do
    local component = components[k]
    table.sort(component, function(a, b) return position[a] < position[b] end)
    for _, key in ipairs(component) do
      local top = root(key)
      members[top] = members[top] or {}
      table.insert(members[top], by_key[key])
      group_of[by_key[key]] = members[top]
    end
  end
  return group_of
end

return order
