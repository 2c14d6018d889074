--- A plan as text for people: the verdict, its reasons with what to do, and what changes.
--
-- @module edeliver.relup.cli.plan_page

local count = require "edeliver.relup.base.count"
local masked = require "edeliver.relup.plan.masked"

local plan_page = {}

local COLORS = { cold = "red", warning = "yellow", note = "dim" }
local SHOWN = 12 -- names of a kind, without --all

local function reason_counts(plan)
  local number = { cold = 0, warning = 0, note = 0 }
  for _, reason in ipairs(plan.reasons) do number[reason.level] = number[reason.level] + 1 end
  local parts = {}
  if number.cold > 0 then parts[1] = count.of(number.cold, "reason") .. " to restart instead" end
  if number.warning > 0 then parts[#parts + 1] = count.of(number.warning, "warning") end
  return #parts > 0 and ", " .. table.concat(parts, ", ") or ""
end

local function show_reasons(out, plan)
  for _, reason in ipairs(plan.reasons) do
    out:line("")
    out:line(("%-8s %s"):format(reason.level, reason.text), COLORS[reason.level])
    if reason.next ~= "Nothing to do." then out:line("         next: " .. reason.next) end
  end
end

local function show_applications(out, plan)
  local rows, same = {}, 0
  for _, it in ipairs(plan.applications) do
    if it.change == "same" then
      same = same + 1
    else
      rows[#rows + 1] = { it.name, it.from or "-", it.to or "-", (it.change:gsub("_", " ")) }
    end
  end
  out:line("")
  if #rows > 0 then out:table({ "application", "from", "to", "change" }, rows) end
  if same > 0 then out:line(("%s the same in both."):format(count.of(same, "application") .. count.verb(same, " is", " are"))) end
end

-- "modules changed (3): A, B, C"
local function show_names(out, title, names, all)
  if #names == 0 then return end
  local shown = {}
  for i = 1, all and #names or math.min(#names, SHOWN) do shown[i] = (names[i]:gsub("^Elixir%.", "")) end
  local more = #names - #shown
  out:line(("%s (%d): %s%s"):format(title, #names, table.concat(shown, ", "),
    more > 0 and (", and %d more (--all shows them)"):format(more) or ""))
end

local TOUCHED = "modules with the same code, but other lines or attributes"
local KINDS = {
  { "modules", { "changed", "added", "removed", "touched" }, { touched = TOUCHED } },
  { "files", { "changed", "added", "removed" }, {} },
  { "configuration", { "changed", "added", "removed" }, {} },
}

local function show_values(out, plan)
  for _, kind in ipairs(KINDS[3][2]) do
    for _, key in ipairs(plan.configuration[kind]) do
      local before, after = plan.before[key], plan.after[key]
      if before ~= nil then out:line(("- %s: %s"):format(key, masked.format(key, before)), "red") end
      if after ~= nil then out:line(("+ %s: %s"):format(key, masked.format(key, after)), "green") end
    end
  end
end

local function show_processes(out, plan)
  if #plan.processes == 0 then return end
  local rows = {}
  for i, it in ipairs(plan.processes) do rows[i] = { (it.module:gsub("^Elixir%.", "")), it.count, it.found_by } end
  out:line("")
  out:table({ "processes of", "number", "found by" }, rows)
end

--- Shows a plan.
-- @param out an output
-- @tparam table plan
-- @tparam table options `all` (every name), `values` (configuration's values, secrets masked)
function plan_page.show(out, plan, options)
  out:line(("%s %s to %s: %s%s"):format(plan.to.name, plan.from.version, plan.to.version, plan.verdict, reason_counts(plan)),
    plan.verdict == "hot" and "green" or "red")
  show_reasons(out, plan)
  show_applications(out, plan)
  out:line("")
  for _, kind in ipairs(KINDS) do
    for _, change in ipairs(kind[2]) do
      show_names(out, kind[3][change] or ("%s %s"):format(kind[1], change), plan[kind[1]][change], options.all)
    end
  end
  show_names(out, "protocols that consolidate anew", plan.protocols, options.all)
  show_names(out, "modules that were patched on the node", plan.hot_patched, options.all)
  if options.values then show_values(out, plan) end
  show_processes(out, plan)
end

return plan_page
