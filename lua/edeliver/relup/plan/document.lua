--- A plan as a document for programs: what `--json` prints. Its names are stable; no value of a configuration is in it.
--
-- @module edeliver.relup.plan.document

local document = {}

local function pick(list, names, array)
  local picked = array {}
  for i, item in ipairs(list) do
    local one = {}
    for _, name in ipairs(names) do one[name] = item[name] end
    picked[i] = one
  end
  return picked
end

local function arrays(lists, names, array)
  local made = {}
  for _, name in ipairs(names) do made[name] = array { table.unpack(lists[name]) } end
  return made
end

--- The document.
-- @tparam table plan
-- @func array marks a list as one, so that an empty one is no object
-- @treturn table `verdict`, `reasons`, `applications`, `modules`, `protocols`, `configuration`, `processes`, `hot_patched`
function document.of(plan, array)
  return {
    verdict = plan.verdict,
    reasons = pick(plan.reasons, { "level", "code", "text", "place", "next" }, array),
    applications = pick(plan.applications, { "name", "from", "to", "change" }, array),
    modules = arrays(plan.modules, { "changed", "added", "removed", "touched" }, array),
    protocols = array { table.unpack(plan.protocols) },
    configuration = arrays(plan.configuration, { "added", "removed", "changed" }, array),
    processes = pick(plan.processes, { "module", "count", "found_by" }, array),
    hot_patched = array { table.unpack(plan.hot_patched) },
  }
end

return document
