--- The code that a script loads, removes and calls, against the .beam files of both releases where these are known.

local term = require "edeliver.relup.term"
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

local function brutal(reason) return { one = "processes that " .. reason, many = "processes that " .. reason } end

local PRE = brutal "run code of %s from before the last upgrade are killed"
local POST = brutal "still run old code of %s are killed when the release is made permanent"
local BOTH = brutal("run code of %s from before the last upgrade are killed, "
  .. "and those that run the old code when the release is made permanent")
local PURGED = brutal "still run old code of %s are killed"

--- Brutal purges.
function rules.brutal_purges(script)
  local known = {}
  for i = 1, #script.list do
    local name, size = effects.name(script.list[i])
    if (name == "load" or name == "remove") and size == 1 then
      local module, pre, post = table.unpack(script.list[i][2])
      local texts = pre == BRUTAL and (post == BRUTAL and BOTH or PRE) or post == BRUTAL and POST
      if texts then script:collect(i, "warning", "brutal_purge", texts, module) end
      known[module] = true
    elseif name == "purge" and size == 1 then
      for _, module in ipairs(script.list[i][2]) do
        if not known[module] then script:collect(i, "warning", "brutal_purge", PURGED, module) end
      end
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

local NEW = {
  one = "%s is new, and nothing loads it: a node in embedded mode will not find it",
  many = "%s are new, and nothing loads them: a node in embedded mode will not find them",
}
local DIFFERENT = {
  one = "the code of %s differs, and nothing loads it",
  many = "the code of %s differs, and nothing loads them",
}

-- Modules that a script loads, by name; nil where it restarts the emulator, which loads everything.
local function loaded_by(script)
  local loaded = {}
  for i = 1, #script.list do
    if effects.restarts(script.list[i]) then return nil end
    local module = effects.loads(script.list[i])
    if module then loaded[term.text(module)] = true end
  end
  return loaded
end

--- Modules whose code differs and that nothing loads.
function rules.changed_modules(script)
  local loaded = script.before and script.after and loaded_by(script)
  if not loaded then return end
  local names = {}
  for name in pairs(script.after) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do
    if not loaded[name] and not script.before[name] then
      script:collect(nil, "warning", "module_not_loaded", NEW, term.atom(name))
    elseif not loaded[name] and not beam.is_same_code(script.before[name], script.after[name]) then
      script:collect(nil, "error", "module_not_loaded", DIFFERENT, term.atom(name))
    end
  end
end

return { rules.brutal_purges, rules.applies, rules.changed_modules }
