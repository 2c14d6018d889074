--- Object code: read before the point of no return, loaded behind it, each once, out of the release that is to run.
--
-- release_handler keeps what load_object_code has read in a list; every load takes its module out of it, and one that finds none
-- fails behind the point of no return, which restarts the node.

local term = require "edeliver.relup.term"
local effects = require "edeliver.relup.script.effects"

local rules = {}

-- The code server guards the modules of these, and refuses to load them anew.
local STICKY = { kernel = true, stdlib = true, compiler = true }

local NOT_READ = {
  one = "no load_object_code before the point of no return reads the object code of %s: the load fails, and the node restarts",
  many = "no load_object_code before the point of no return reads the object code of %s: their loads fail, and the node restarts",
}
local TWICE = {
  one = "%s is loaded twice, but its object code is read once: the second load fails, and the node restarts",
  many = "%s are loaded twice, but their object code is read once: the second loads fail, and the node restarts",
}
local NOT_LOADED = {
  one = "the object code of %s is read, and nothing loads it",
  many = "the object code of %s is read, and nothing loads it",
}

local function each_read(script, look)
  for i = 1, #script.list do
    local app, version, modules = effects.object_code(script.list[i])
    for _, module in ipairs(modules or {}) do look(i, module, app, version) end
  end
end

-- systools moves the load_object_code of an appup to the front.
local function evaluate(script, read, load)
  if script.is_appup then each_read(script, read) end
  for i = 1, #script.list do
    local _, _, modules = effects.object_code(script.list[i])
    if not script.is_appup then
      for _, module in ipairs(modules or {}) do read(i, module) end
    end
    if effects.name(script.list[i]) == "load" then load(i, effects.loads(script.list[i])) end
  end
end

--- Object code for every load, and a load for all object code.
function rules.loads(script)
  local waiting, loaded, read_at = {}, {}, {}
  evaluate(script, function(i, module)
    waiting[module], read_at[module] = (waiting[module] or 0) + 1, i
  end, function(i, module)
    if (waiting[module] or 0) > 0 then
      waiting[module], loaded[module] = waiting[module] - 1, true
    elseif loaded[module] then
      script:collect(i, "error", "loaded_twice", TWICE, module)
    else
      script:collect(i, "error", "no_object_code", NOT_READ, module)
    end
  end)
  if script.is_appup then return end
  each_read(script, function(i, module)
    if read_at[module] == i and not loaded[module] then script:collect(i, "warning", "unused_object_code", NOT_LOADED, module) end
  end)
end

--- One version of each application.
function rules.versions(script)
  local versions = {}
  for i = 1, #script.list do
    local app, version = effects.object_code(script.list[i])
    local text = app and term.text(version)
    if app and versions[app] and versions[app] ~= text then
      script:report(i, "error", "conflicting_versions", ("version %s of %s is read before: a release has one version of an "
        .. "application, so one of the two is refused (bad_lib_vsn)"):format(versions[app], term.format(app)))
    end
    if app then versions[app] = versions[app] or text end
  end
end

--- Nothing that the code server guards.
function rules.sticky(script)
  local texts = {
    one = "%s is of kernel, stdlib or compiler, which the node refuses to load anew (sticky_directory): the node restarts",
    many = "%s are of kernel, stdlib or compiler, which the node refuses to load anew (sticky_directory): the node restarts",
  }
  local app_of = {}
  each_read(script, function(_, module, app) app_of[module] = app end)
  for i = 1, #script.list do
    local module = effects.name(script.list[i]) == "load" and effects.loads(script.list[i])
    local app = module and app_of[module]
    if app and STICKY[term.text(app)] then script:collect(i, "error", "sticky", texts, module) end
  end
end

-- The folder of an application and its version, which it is named after: NAME-VERSION/ebin; nil where none is named so.
local function folder_of(folders, app)
  for _, path in ipairs(folders) do
    local name, version = path:match "([^/]*)%-([^/-]*)/+ebin/*$"
    if name == app then return path, version end
  end
  return nil
end

local NOT_THERE = {
  one = "the release that it leads to has no %s in that application: release_handler refuses (no_such_file)",
  many = "the release that it leads to has no %s in that application: release_handler refuses (no_such_file)",
}

--- Only what the release has, where its ebin folders are known.
function rules.release(script)
  if not script.after then return end
  for i = 1, #script.list do
    local app, version, modules = effects.object_code(script.list[i])
    local folder, there = folder_of(script.after_folders, app and term.text(app))
    if folder and there ~= term.text(version) then
      script:report(i, "error", "wrong_version", ("the release that it leads to has version %s of %s: release_handler refuses "
        .. "(bad_lib_vsn)"):format(there, term.format(app)))
    elseif app and (folder or script.after.gen_server) then -- with gen_server the folders hold all of the release
      for _, module in ipairs(modules) do
        local path = script.after[term.text(module)]
        local is_there = path and (not folder or path:sub(1, #folder) == folder)
        if not is_there then script:collect(i, "error", "not_in_release", NOT_THERE, module) end
      end
    end
  end
end

return { rules.loads, rules.versions, rules.sticky, rules.release }
