--- What may be wrong with one script of a relup, beyond the shapes of its instructions.
--
-- A rule is a function of the script; it reports through `script:report(position, level, kind, reason)`. A script knows its
-- `list`, and the modules `before` and `after` it (from name to .beam file) where ebin folders were given.

local term = require "edeliver.relup.term"
local instruction = require "edeliver.relup.instruction"
local ordering = require "edeliver.relup.sequence.ordering"
local effects = require "edeliver.relup.script.effects"
local beam = require "edeliver.relup.lint.beam"

local rules = {}

local BRUTAL, RUN = term.atom "brutal_purge", term.atom "run"

-- Modules without a .beam file in any ebin folder: the emulator has them built in.
local PRELOADED = {}
for name in ([[atomics counters erl_init erl_prim_loader erl_tracer erlang erts_code_purger erts_dirty_process_signal_handler
               erts_internal erts_literal_area_collector init otp_ring0 persistent_term prim_buffer prim_eval prim_file
               prim_inet prim_net prim_socket prim_zip socket_registry zlib]]):gmatch "%S+" do
  PRELOADED[name] = true
end

local by_module = {}
for _, name in ipairs(instruction.names) do by_module[instruction.load(name).module] = name end

-- The instruction that an `apply` runs, by the guard or inside the release; nil for any other call.
local function step_of(entry)
  local module, name, arguments = effects.applies(entry)
  if not module then return nil end
  if name == RUN then return by_module[term.text(module)] end
  local request = term.text(module) == "gen_server" and term.text(arguments[1] or 0) == "edeliver_relup" and arguments[2]
  return term.kind(request) == "tuple" and #request == 3 and request[1] == RUN and term.text(request[2]) or nil
end

local function point_of_no_return(list)
  for i = 1, #list do
    if effects.is_point_of_no_return(list[i]) then return i end
  end
  return nil
end

-- A module that the script loads only to run it is no part of the upgrade proper.
local function is_change(list, i)
  local entry = list[i]
  if effects.modifies_processes(entry) or effects.modifies_applications(entry) then return true end
  local module = effects.unloads(entry)
  if not module or by_module[term.text(module)] then return false end
  local applied, name = effects.applies(list[i + 1] or entry)
  return not (name == RUN and applied == module)
end

--- Exactly one point of no return.
function rules.point_of_no_return(script)
  local count = 0
  for i = 1, #script.list do
    if effects.is_point_of_no_return(script.list[i]) then
      count = count + 1
      if count > 1 then
        script:report(i, "error", "several_points_of_no_return", "an upgrade has one point of no return; here is another")
      end
    end
  end
  if count == 0 then
    script:report(nil, "error", "no_point_of_no_return", "the script has no point of no return: the release handler needs "
      .. "to know from where on a failure restarts the node")
  end
end

--- Checks before the point of no return.
function rules.checks(script)
  local border = point_of_no_return(script.list) or math.huge
  for i = 1, #script.list do
    local name = step_of(script.list[i])
    if i > border and name and instruction.is_built_in(name) and instruction.load(name).section == "check" then
      script:report(i, "error", "late_check", ("%s stands after the point of no return, where a failure no longer "
        .. "cancels the upgrade but restarts the node"):format(name))
    end
  end
end

-- The steps among the script's instructions, with their positions, and what takes the part of the install: the first and
-- the last instruction that changes code, processes or applications.
local function find_steps(list)
  local steps, positions, first, last = {}, {}, nil, nil
  for i = 1, #list do
    local name = step_of(list[i])
    if name then
      -- A user's own instruction is here by name alone: what it asks for, only its definition knows.
      steps[#steps + 1] = instruction.is_built_in(name) and name or { name = name }
      positions[#steps] = i
    elseif is_change(list, i) then
      first, last = first or i, i
    end
  end
  return steps, positions, first, last
end

local function with_install(steps, positions, at)
  local all, all_positions, done = {}, {}, at == nil
  for i, step in ipairs(steps) do
    if not done and positions[i] > at then
      all[#all + 1], all_positions[#all + 1], done = "install", at, true
    end
    all[#all + 1], all_positions[#all + 1] = step, positions[i]
  end
  if not done then all[#all + 1], all_positions[#all + 1] = "install", at end
  return all, all_positions
end

local function report_order(script, steps, positions, at, is_wanted)
  local all, all_positions = with_install(steps, positions, at)
  for _, edge in ipairs(assert(ordering.violations(all))) do
    local names = {}
    for _, side in ipairs { "first", "second" } do
      local step = all[edge[side]]
      names[side] = step == "install" and "the change of code" or type(step) == "table" and step.name or step
    end
    if is_wanted(all[edge.first] == "install", all[edge.second] == "install") then
      script:report(all_positions[edge.second], "error", "order", ("%s (instruction %d) must come before %s (instruction %d): %s")
        :format(names.first, all_positions[edge.first], names.second, all_positions[edge.second], edge.because))
    end
  end
end

--- The ordering constraints, and a resume for every suspend.
function rules.order(script)
  local steps, positions, first, last = find_steps(script.list)
  -- What suspends stands before the first change, what resumes after the last.
  report_order(script, steps, positions, first, function(is_first) return not is_first end)
  report_order(script, steps, positions, last, function(is_first) return is_first end)
  local missing = ordering.missing(steps)
  if missing then script:report(nil, "error", "no_resume", missing) end
end

--- A `resume` behind every `suspend` of a module.
function rules.suspended_modules(script)
  local suspended = {}
  for i = 1, #script.list do
    local name, size = effects.name(script.list[i])
    if (name == "suspend" or name == "resume") and size == 1 then
      for _, entry in ipairs(script.list[i][2]) do
        local module = term.kind(entry) == "tuple" and entry[1] or entry
        suspended[module] = name == "suspend" and i or nil
      end
    end
  end
  for module, i in pairs(suspended) do
    script:report(i, "error", "no_resume",
      ("the processes of %s are suspended, and no instruction behind it resumes them"):format(term.format(module)))
  end
end

local PRE = "processes that still run code of %s from before the last upgrade are killed when it is loaded"
local POST = "processes that still run its old code are killed when the release is made permanent"

--- Brutal purges.
function rules.brutal_purges(script)
  local known = {}
  for i = 1, #script.list do
    local name, size = effects.name(script.list[i])
    if (name == "load" or name == "remove") and size == 1 then
      local module, pre, post = table.unpack(script.list[i][2])
      local reasons = {}
      if pre == BRUTAL then reasons[#reasons + 1] = PRE:format(term.format(module)) end
      if post == BRUTAL then reasons[#reasons + 1] = POST end
      if #reasons > 0 then script:report(i, "warning", "brutal_purge", table.concat(reasons, "; ")) end
      known[module] = true
    elseif name == "purge" and size == 1 then
      for _, module in ipairs(script.list[i][2]) do
        if not known[module] then
          script:report(i, "warning", "brutal_purge",
            ("processes that still run old code of %s are killed"):format(term.format(module)))
        end
      end
    end
  end
end

--- Every loaded module among those of a `load_object_code` before it.
function rules.object_code(script)
  local have = {}
  for i = 1, #script.list do
    local _, _, modules = effects.object_code(script.list[i])
    for _, module in ipairs(modules or {}) do have[module] = true end
    local module = effects.loads(script.list[i])
    if module and effects.name(script.list[i]) == "load" and not have[module] then
      script:report(i, "error", "no_object_code",
        ("no load_object_code before it reads the object code of %s"):format(term.format(module)))
    end
  end
end

-- Which exports a call needs: those of the code that is there when it runs. nil where nothing is known of the module.
local function exports_of(script, module, is_loaded)
  local name = term.text(module)
  local files = is_loaded and script.after or script.before
  local path = files and files[name] or script.after and script.after[name] or script.before and script.before[name]
  if path then return beam.exports(path) end
  local is_whole = script.after and script.after.gen_server -- the folders hold OTP too: what they lack does not exist
  return is_whole and not PRELOADED[name] and {} or nil
end

--- Modules loaded before they are run, and functions that exist.
function rules.applies(script)
  local loaded, removed, loaded_later = {}, {}, {}
  for i = 1, #script.list do
    local module = effects.loads(script.list[i])
    if module then loaded_later[module] = i end
  end
  for i = 1, #script.list do
    local entry = script.list[i]
    local loads, unloads = effects.loads(entry), effects.unloads(entry)
    if loads then
      loaded[loads], removed[loads] = true, nil
    elseif unloads and effects.name(entry) == "remove" then
      removed[unloads] = i
    end
    local module, name, arguments = effects.applies(entry)
    if module then
      local later = loaded_later[module]
      local is_new = script.before and not script.before[term.text(module)] and script.after[term.text(module)]
      local call = ("%s:%s/%d"):format(term.format(module), term.format(name), #arguments)
      if removed[module] then
        script:report(i, "error", "run_after_unload", ("%s is called, but instruction %d has removed %s"):format(
          call, removed[module], term.format(module)))
      elseif not loaded[module] and later and later > i and (is_new or name == RUN) then
        script:report(i, "error", "run_before_load", ("%s is called, but %s is loaded only by instruction %d"):format(
          call, term.format(module), later))
      else
        local exports = exports_of(script, module, loaded[module])
        if exports and not exports[term.text(name) .. "/" .. #arguments] then
          script:report(i, "error", "no_such_function", ("there is no function %s"):format(call))
        end
      end
    end
  end
end

--- Modules whose code differs and that nothing loads. A script that restarts the emulator loads everything.
function rules.changed_modules(script)
  if not script.before or not script.after then return end
  local loaded = {}
  for i = 1, #script.list do
    local name = effects.name(script.list[i])
    if name == "restart_emulator" or name == "restart_new_emulator" then return end
    local module = effects.loads(script.list[i])
    if module then loaded[term.text(module)] = true end
  end
  local names = {}
  for name in pairs(script.after) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do
    if not loaded[name] then
      local text = term.format(term.atom(name))
      if not script.before[name] then
        script:report(nil, "warning", "module_not_loaded",
          ("%s is new, and nothing loads it: a node in embedded mode will not find it"):format(text))
      elseif not beam.is_same_code(script.before[name], script.after[name]) then
        script:report(nil, "error", "module_not_loaded", ("the code of %s differs, and nothing loads it"):format(text))
      end
    end
  end
end

return {
  rules.point_of_no_return, rules.checks, rules.order, rules.suspended_modules, rules.brutal_purges, rules.object_code,
  rules.applies, rules.changed_modules,
}
