--- Names of modules and children as people write them.
--
-- @module edeliver.relup.plan.names

local names = {}

--- Without Elixir's prefix: "MyApp.Cache" of "Elixir.MyApp.Cache".
function names.short(name) return (name:gsub("^Elixir%.", "")) end

--- A set of such names, of a list.
function names.set(list)
  local set = {}
  for _, name in ipairs(list) do set[names.short(name)] = true end
  return set
end

return names
