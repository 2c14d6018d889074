--- From what differs to reasons: which differences make an upgrade cold, which want a look, which are only said.
--
-- Two releases, what changed between them and what their files say of it; a list of reasons comes out. Reads no file and asks no
-- node.
--
-- @module edeliver.relup.plan.judge

local count = require "edeliver.relup.base.count"
local names_of = require "edeliver.relup.plan.names"
local reasons = require "edeliver.relup.plan.reasons"

local judge = {}

-- What runs an upgrade cannot change in it.
local CORE = { "kernel", "stdlib", "sasl", "elixir" }

local function words(names)
  if #names <= 3 then return table.concat(names, ", ") end
  return ("%s, %s and %d more"):format(names[1], names[2], #names - 2)
end

-- Those that a VM and an ELF header call the same.
local KNOWN_MACHINES = { x86_64 = true, aarch64 = true, i386 = true, s390x = true, riscv64 = true }

local function judge_machine(add, old, new, running)
  local before = running or old.erts
  if before ~= new.erts then add("erts_changed", "erts-" .. new.erts, before, new.erts) end
  if KNOWN_MACHINES[old.machine or ""] and KNOWN_MACHINES[new.machine or ""] and old.machine ~= new.machine then
    add("machine_changed", "erts-" .. new.erts, new.machine, old.machine)
  end
end

local function judge_core(add, plan)
  local change_of = {}
  for _, application in ipairs(plan.applications) do change_of[application.name] = application end
  for _, name in ipairs(CORE) do
    local it = change_of[name]
    if it and it.from and it.to and (it.change ~= "same") then
      add("core_application_changed", name, name, it.from, it.from == it.to and it.to .. " with other content" or it.to)
    end
  end
end

local OWN_FILES = {
  ["vm.args"] = "vm_args_changed", ["env.sh"] = "env_sh_changed", ["runtime.exs"] = "runtime_configuration_changed",
}

-- Where relx makes a file when the node starts, it is what that is made of that counts.
local function own_file(release, name) return release:own_file(name .. ".src") or release:own_file(name) end

local function judge_own_files(add, old, new)
  for name, code in pairs(OWN_FILES) do
    local a, b = own_file(old, name), own_file(new, name)
    local kind = a and a.md5 and "md5" or "hash"
    if (a and a[kind]) ~= (b and b[kind]) then add(code, new.folder .. "/" .. name) end
  end
end

local function is_library(name) return name:find "%.so$" or name:find "%.so%.[%d.]+$" or name:find "%.dylib$" end

local function judge_libraries(add, plan)
  for _, kind in ipairs { "changed", "removed" } do
    for _, name in ipairs(plan.files[kind]) do
      if is_library(name) then add("nif_library_changed", name, name) end
    end
  end
end

local function judge_code(add, plan)
  for _, name in ipairs(plan.facts.nifs) do add("nif_module_changed", name, name) end
  for _, name in ipairs(plan.facts.on_load) do add("on_load_changed", name, name) end
  local has_struct = {}
  for _, struct in ipairs(plan.facts.structs) do
    for _, holder in ipairs(struct.holders) do has_struct[holder] = true end
  end
  for _, name in ipairs(plan.modules.changed) do
    local about = plan.facts.about[name]
    if about.is_server and about.code_change == "default" and not has_struct[name] then
      add("default_code_change", name, name)
    elseif about.is_server and about.code_change == nil then
      add("code_change_unknown", name, name)
    end
    if about.is_component then add("live_component_changed", name, name) end
  end
  for _, name in ipairs(plan.facts.unknown_structs) do add("struct_unknown", name, name) end
end

-- "gains A and loses B, C"; with a noun, "gains the field A and loses the fields B, C".
local function gains_and_loses(gained, lost, noun)
  local parts = {}
  local function add(verb, names)
    if #names == 0 then return end
    local what = noun and ("the %s "):format(count.verb(#names, noun, noun .. "s")) or ""
    parts[#parts + 1] = ("%s %s%s"):format(verb, what, words(names))
  end
  add("gains", gained)
  add("loses", lost)
  return table.concat(parts, " and ")
end

-- Who keeps a struct's old form, in words; nil where a node has no process of that module.
local function keeper(plan, struct, holder)
  if not plan.count_of then return holder == struct.module and "it keeps" or holder .. " keeps" end
  local number = plan.count_of[holder]
  return number and ("%s of %s %s"):format(count.of(number, "process"), holder, count.verb(number, "keeps", "keep"))
end

local function judge_structs(add, plan)
  for _, struct in ipairs(plan.facts.structs) do
    local how, kept = gains_and_loses(struct.added, struct.removed, "field"), false
    for _, holder in ipairs(struct.holders) do
      local who = keeper(plan, struct, holder)
      if who then add("struct_fields_changed", holder, struct.module, how, who) end
      kept = kept or who
    end
    -- Those whose own code does not say so: what they began with has come to have it.
    local named = {}
    for _, holder in ipairs(struct.holders) do named[holder] = true end
    for _, holder in ipairs(plan.in_states and plan.in_states[struct.module] or {}) do
      local about = plan.facts.about[holder.module]
      if not named[holder.module] and not (about and about.code_change == "own") then
        add("struct_in_states", struct.module, struct.module, how, ("%s of %s %s"):format(count.of(holder.count, "process"),
          holder.module, count.verb(holder.count, "has it in its state", "have it in their states")))
        kept = true
      end
    end
    if not kept then add("struct_may_be_in_states", struct.module, struct.module, how) end
  end
end

local function judge_children(add, plan)
  for _, supervisor in ipairs(plan.facts.supervisors) do
    add("children_changed", supervisor.module, supervisor.module, gains_and_loses(supervisor.gained, supervisor.lost))
  end
  for _, it in ipairs(plan.facts.unanswered) do add("children_not_told", it.module, it.module, it.why) end
  if not plan.old.is_live or plan.next_vm_failed then
    for _, it in ipairs(plan.facts.unknown_children) do add("children_unknown", it.module, it.module, words(it.by)) end
  end
  local will_start = names_of.set(plan.start_children)
  for _, application in ipairs(plan.facts.applications) do
    for _, child in ipairs(application.gained) do
      local code = will_start[names_of.short(child)] and "application_child_started" or "application_child_added"
      add(code, child, application.module, child)
    end
    for _, child in ipairs(application.lost) do add("application_child_removed", child, application.module, child) end
  end
end

-- Whether an appup has an entry for a version. Which versions a pattern matches is left to whoever writes the relup.
local function has_entry(list, version)
  for _, entry in ipairs(list) do
    if entry.version == version or entry.is_pattern then return true end
  end
  return false
end

local function judge_appup(add, application, from)
  if application.appup_problem then
    add("appup_unreadable", application.name, application.name, application.appup_problem)
  elseif application.appup and has_entry(application.appup.up, from.version) then
    add("appup_found", application.name, application.name)
  end
end

local function judge_applications(add, old, new, plan)
  for _, it in ipairs(plan.applications) do
    local a, b = old.applications[it.name], new.applications[it.name]
    if it.change == "added" then
      add("application_added", it.name, it.name, it.to)
    elseif it.change == "removed" then
      add("application_removed", it.name, it.name, it.from)
    else
      if a.start_type ~= b.start_type then add("start_type_changed", it.name, it.name, a.start_type, b.start_type) end
      if a.app.mod ~= b.app.mod then
        add("application_callback_changed", it.name, it.name, a.app.mod or "none", b.app.mod or "none")
      end
      if it.change == "changed_under_same_version" then add("version_not_bumped", it.name, it.name, it.to) end
      if a.version ~= b.version then judge_appup(add, b, a) end
    end
  end
end

local function judge_providers(add, old, new)
  local a, b = words(old.providers), words(new.providers)
  if a ~= b then add("providers_changed", new.folder .. "/sys.config", a == "" and "none" or a, b == "" and "none" or b) end
end

--- Whether anything differs at all.
function judge.is_same(plan)
  for _, part in ipairs { plan.modules, plan.files, plan.configuration } do
    for _, names in pairs(part) do
      if #names > 0 then return false end
    end
  end
  for _, application in ipairs(plan.applications) do
    if application.change ~= "same" then return false end
  end
  return true
end

local SPARE = 16 << 20 -- bytes, for what else the node writes

local function megabytes(bytes) return ("%.1f MB"):format(bytes / 1e6) end

local function judge_state(add, plan)
  if plan.free and not plan.is_there and plan.free < plan.needs + SPARE then
    add("no_room", plan.to.name, megabytes(plan.needs + SPARE), megabytes(plan.free))
  end
  for _, it in ipairs(plan.held or {}) do
    add("funs_held", it.module, it.module, it.who)
  end
end

-- What only a node can say.
local function judge_node(add, plan)
  local facts = plan.facts
  if plan.next_vm_failed and not plan.asked_again and #facts.supervisors + #facts.applications + #facts.unknown_children > 0 then
    add("next_vm_failed", plan.to.name, plan.next_vm_failed)
  end
  if plan.trees_failed then add("processes_uncounted", plan.to.name, plan.trees_failed) end
  local is_unfiled = names_of.set(plan.old.unfiled or {})
  for _, name in ipairs(plan.hot_patched) do
    add(is_unfiled[names_of.short(name)] and "loaded_by_hand" or "hot_patched", name, name)
  end
  local count_of = {}
  for name, number in pairs(plan.count_of or {}) do count_of[name] = number end
  -- Children that a supervisor loses are ended by the upgrade.
  for _, supervisor in ipairs(plan.facts.supervisors) do
    for _, name in ipairs(supervisor.lost) do count_of[name] = count_of[name] and count_of[name] - 1 end
  end
  for _, name in ipairs(plan.modules.removed) do
    local left = count_of[name] or 0
    if left > 0 then
      add("removed_module_runs", name, name, ("%s %s"):format(count.of(left, "process"), count.verb(left, "runs", "run")))
    end
  end
end

local function judge_version(add, old, new, plan)
  local same = judge.is_same(plan)
  if same then add("nothing_changed", new.name) end
  if not same and old.version == new.version then add("version_unchanged", new.rel_path, new.version) end
end

--- Finds the reasons.
-- @tparam table plan `applications`, `modules`, `files`, `configuration` (see `edeliver.relup.plan.changes`) and `facts` (see
-- `edeliver.relup.plan.facts`)
-- @return a list of reasons
function judge.reasons(plan, old, new)
  local found = {}
  local function add(code, place, ...) found[#found + 1] = reasons.new(code, place, ...) end
  judge_machine(add, old, new, plan.running_erts)
  judge_core(add, plan)
  judge_own_files(add, old, new)
  judge_libraries(add, plan)
  judge_code(add, plan)
  judge_structs(add, plan)
  judge_children(add, plan)
  judge_applications(add, old, new, plan)
  judge_providers(add, old, new)
  judge_node(add, plan)
  judge_state(add, plan)
  judge_version(add, old, new, plan)
  return found
end

--- "cold" where a reason is; else "hot".
function judge.verdict(list)
  for _, reason in ipairs(list) do
    if reason.level == "cold" then return "cold" end
  end
  return "hot"
end

--- How many reasons are of a level.
function judge.count(list, level)
  local number = 0
  for _, reason in ipairs(list) do
    if reason.level == level then number = number + 1 end
  end
  return number
end


return judge
