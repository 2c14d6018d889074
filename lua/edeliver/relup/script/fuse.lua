--- Which parts of a relup's script may become one swap, and the script that is left.
--
-- Each longest run of instructions that suspend, load, change and resume becomes a stop: all of its modules and processes at
-- once. Everything between two runs stays where it is. Knows the language of relups, and neither a node nor how a swap works.
--
-- @module edeliver.relup.script.fuse

local effects = require "edeliver.relup.script.effects"
local term = require "edeliver.relup.term"

local fuse = {}

local atom, tuple, list, charlist = term.atom, term.tuple, term.list, term.charlist
local UP, DOWN = atom "up", atom "down"

fuse.NAME = "edeliver_relup_swap" -- what the swap is registered as on the node

--- Why an instruction past the point of no return is part of no swap, by its name.
fuse.REASONS = {
  apply = "it calls a function, which may count on what has been loaded before it and not on what comes after it",
  start = "it starts processes that an earlier instruction has stopped",
  stop = "it stops processes, which a supervisor has to see in that order",
  sync_nodes = "it waits for other nodes to get here",
  restart_emulator = "it restarts the emulator",
  restart_new_emulator = "it restarts the emulator",
}

-- A stop as it is collected: what its instructions say of each module.
local function new_stop() return { load = {}, remove = {}, change = {}, suspend = {}, purge = {}, at = {}, starts = {} } end

local function each(value) return ipairs(value or {}) end

local function key(module) return term.format(module) end

-- Each takes an instruction into a stop, or gives a reason why not.
local COLLECT = {}

function COLLECT.load(stop, instruction, position)
  local module = instruction[2][1]
  if stop.at[key(module)] then return "it loads a module a second time" end
  stop.at[key(module)] = position
  stop.load[#stop.load + 1] = module
end

function COLLECT.remove(stop, instruction, position)
  local module = instruction[2][1]
  if stop.at[key(module)] then return "it removes a module that it has loaded" end
  stop.at[key(module)] = position
  stop.remove[#stop.remove + 1] = module
end

function COLLECT.purge(stop, instruction)
  for _, module in each(instruction[2]) do stop.purge[#stop.purge + 1] = module end
end

function COLLECT.suspend(stop, instruction)
  for _, entry in each(instruction[2]) do
    local module = term.kind(entry) == "tuple" and entry[1] or entry
    if stop.suspend[key(module)] then return "it suspends a module's processes a second time" end
    stop.suspend[key(module)] = "suspended"
    stop.suspend[#stop.suspend + 1] = module
  end
end

function COLLECT.resume(stop, instruction)
  for _, module in each(instruction[2]) do
    if stop.suspend[key(module)] ~= "suspended" then return "it resumes what something before it has suspended" end
    stop.suspend[key(module)] = "resumed"
  end
end

function COLLECT.code_change(stop, instruction, position)
  local mode = #instruction == 3 and instruction[2] or UP
  for _, entry in each(instruction[#instruction]) do
    local module = entry[1]
    -- OTP changes those only that the script has suspended.
    if stop.suspend[key(module)] == "suspended" then
      stop.change[#stop.change + 1] = { module = module, mode = mode, extra = entry[2], at = position }
    end
  end
end

-- `{ application =, type = a term }` of `{apply, {application, start, [Application, Type]}}`.
local function start_of(instruction)
  local module, fun, arguments = effects.applies(instruction)
  if module ~= atom "application" or fun ~= atom "start" or term.kind(arguments) ~= "list" then return nil end
  if #arguments < 1 or #arguments > 2 then return nil end
  return { application = arguments[1], type = arguments[2] or atom "temporary" }
end

-- An application that a relup adds is started before anything else: where the script has done nothing but to load such
-- applications, the swap starts it, and what comes behind belongs to the same stop.
local function takes_start(run, instruction, versions)
  local start = start_of(instruction)
  start = start and versions[key(start.application)] and start
  if not start then return false end
  local stop, added = run.stop, { [key(start.application)] = true }
  if #stop.suspend + #stop.remove + #stop.change + #stop.purge > 0 then return false end
  for _, before in ipairs(stop.starts) do added[key(before.application)] = true end
  for _, module in ipairs(stop.load) do
    local from = stop.files[key(module)]
    if not from or not added[key(from.application)] then return false end
  end
  start.version = versions[key(start.application)]
  stop.starts[#stop.starts + 1] = start
  return true
end

-- What is wrong with a whole run, in words; nil where it may be a swap.
local function obstacle(stop)
  for _, module in ipairs(stop.suspend) do
    if stop.suspend[key(module)] ~= "resumed" then return "it resumes its processes only behind something else" end
  end
  for _, module in ipairs(stop.purge) do
    if not stop.at[key(module)] then return "it purges a module that it does not load" end
  end
  for _, change in ipairs(stop.change) do
    local loaded = stop.at[key(change.module)]
    if loaded and change.mode == UP and change.at < loaded then
      return "it changes processes on the way up before their new code is there"
    end
    -- Modules of the type static, supervisors among them, are changed by the code that they go back to.
    change.static = loaded and change.mode ~= UP and change.at > loaded
  end
  for _, module in ipairs(stop.load) do
    if not stop.files[key(module)] then return "it loads a module without a load_object_code" end
  end
  return #stop.load + #stop.remove == 0 and "it loads nothing" or nil
end

-- The modules of all load_object_code instructions: by module its application and version; and by application its version.
local function object_code(script)
  local files, versions = {}, {}
  for _, instruction in ipairs(script) do
    local application, version, modules = effects.object_code(instruction)
    if application then versions[key(application)] = term.text(version) end
    for _, module in each(modules) do files[key(module)] = { application = application, version = term.text(version) } end
  end
  return files, versions
end

-- Splits what stands behind the point of no return: `{ stop }` for a run that may be a swap, `{ instruction }` for the rest.
local function split(script, from, files, versions)
  local parts, left, run = {}, {}, nil
  local function close()
    if not run then return end
    local problem = run.problem or obstacle(run.stop)
    if problem then
      for _, instruction in ipairs(run.instructions) do parts[#parts + 1] = { instruction = instruction } end
      left[#left + 1] = { position = run.position, count = #run.instructions, reason = problem }
    else
      parts[#parts + 1] = { stop = run.stop }
    end
    run = nil
  end
  for position = from, #script do
    local instruction = script[position]
    local name = effects.name(instruction)
    if run and #parts == 0 and takes_start(run, instruction, versions) then
      run.instructions[#run.instructions + 1] = instruction
    elseif COLLECT[name] then
      if not run then run = { stop = new_stop(), instructions = {}, position = position } end
      run.stop.files = files
      run.instructions[#run.instructions + 1] = instruction
      run.problem = run.problem or COLLECT[name](run.stop, instruction, position)
    else
      close()
      parts[#parts + 1] = { instruction = instruction }
      left[#left + 1] = { position = position, count = 1, reason = fuse.REASONS[name] or "it is not known here" }
    end
  end
  close()
  return parts, left
end

--- The call of a swap, as a relup has it.
-- @tparam integer id
-- @return a term
function fuse.call(id)
  local request = list { atom(fuse.NAME), tuple { atom "swap", id }, atom "infinity" }
  return tuple { atom "apply", tuple { atom "gen_server", atom "call", request } }
end

--- Whether a script calls for a swap already: one that was left behind.
function fuse.is_fused(script)
  for _, instruction in ipairs(script) do
    if effects.name(instruction) == "apply" and tostring(instruction):find(fuse.NAME, 1, true) then return true end
  end
  return false
end

-- A load_object_code that leaves what swaps load to them. It stays, since it changes the code path.
local function without(instruction, swapped)
  local application, version, modules = effects.object_code(instruction)
  if not application then return instruction end
  local kept = {}
  for _, module in each(modules) do
    if not swapped[key(module)] then kept[#kept + 1] = module end
  end
  return tuple { atom "load_object_code", tuple { application, charlist(term.text(version)), list(kept) } }
end

local function border(script)
  for position, instruction in ipairs(script) do
    if effects.is_point_of_no_return(instruction) then return position end
  end
end

-- A stop as a swap takes it; what is added to it goes before what the relup says of the same module.
local function finished(stop, id, cancels, additions)
  local found = {
    id = id, cancels = cancels, load = {}, remove = {}, change = {}, suspend = {}, paths = {}, children = additions.children,
    starts = stop.starts,
  }
  for _, module in ipairs(stop.load) do
    local from = stop.files[key(module)]
    if not additions.modules[key(module)] then
      found.load[#found.load + 1] = { module = module, application = from.application, version = from.version }
    end
  end
  table.move(stop.remove, 1, #stop.remove, 1, found.remove)
  for i, change in ipairs(stop.change) do
    local mode = change.static and "static" or change.mode == DOWN and "down" or "up"
    found.change[i] = { module = change.module, mode = mode, extra = change.extra }
  end
  table.move(stop.suspend, 1, #stop.suspend, 1, found.suspend)
  return found
end

-- The same with what every stop asks for: which modules are added.
local function indexed(additions)
  local made = {
    load = additions.load or {}, remove = additions.remove or {}, paths = additions.paths or {}, head = additions.head or {},
    children = additions.children == true, modules = {},
  }
  for _, added in ipairs(made.load) do made.modules[key(added.module)] = true end
  return made
end

-- What is added goes into a stop that still cancels the upgrade.
local function add(stop, additions, script)
  table.move(additions.load, 1, #additions.load, #stop.load + 1, stop.load)
  table.move(additions.remove, 1, #additions.remove, #stop.remove + 1, stop.remove)
  -- Code paths change at the point of no return only, but an on_load or a code_change may look for what else is new.
  for _, instruction in ipairs(script) do
    local application, version = effects.object_code(instruction)
    if application then stop.paths[#stop.paths + 1] = { application = application, version = term.text(version) } end
  end
  table.move(additions.paths, 1, #additions.paths, #stop.paths + 1, stop.paths)
end

--- Makes swaps of what may be one.
-- @tparam table script the instructions of one entry of a relup
-- @tparam[opt] table additions what no relup can say: `load` (list of `{ module =, path = a beam file on the node }`), `remove`
-- (list of modules), `paths` (list of `{ from =, to = }`, folders in the code path), `children` (true: new children of changed
-- supervisors are started in the stop, and removed ones ended), `head` (instructions that come before all others)
-- @return[1] `{ script = the list of instructions that is left, with a call for each swap, stops = a list of `{ id =, cancels =
-- whether a failure still cancels the upgrade, load = list of { module =, application =, version = }, remove = list of modules,
-- suspend = list of modules, change = list of { module =, mode = "up" | "down" | "static" (down, but changed
-- behind the load), extra = }, paths = list of { application =, version = } or { from =, to = }, children = boolean,
-- starts = list of { application =, version =, type = }: added applications, to be started before anybody is suspended }`,
-- left = list of `{ position =, count =, reason = }` of what stays OTP's }`
-- @return[2] nil, message, "no_point_of_no_return"
function fuse.script(script, additions)
  additions = indexed(additions or {})
  local at = border(script)
  if not at then return nil, "the script has no point of no return, so nothing in it loads code", "no_point_of_no_return" end
  local parts, left = split(script, at + 1, object_code(script))
  local adds = #additions.load + #additions.remove + #additions.paths > 0
  if adds and not (parts[1] and parts[1].stop) then table.insert(parts, 1, { stop = new_stop() }) end
  local stops, swapped, behind, first = {}, {}, {}, nil
  for i, part in ipairs(parts) do
    if part.stop then
      local id = #stops + 1
      for module in pairs(part.stop.at) do swapped[module] = true end
      stops[id] = finished(part.stop, id, i == 1, additions)
      if i == 1 then add(stops[id], additions, script) end
      -- Before the point of no return a failure is an ordinary refusal.
      if i == 1 then first = fuse.call(id) else behind[#behind + 1] = fuse.call(id) end
    else
      behind[#behind + 1] = part.instruction
    end
  end
  local made = table.move(additions.head, 1, #additions.head, 1, {})
  for position = 1, at - 1 do made[#made + 1] = without(script[position], swapped) end
  made[#made + 1] = first
  made[#made + 1] = script[at]
  table.move(behind, 1, #behind, #made + 1, made)
  return { script = list(made), stops = stops, left = left }
end

return fuse
