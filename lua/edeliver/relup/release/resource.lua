--- The terms that a release is described by: .rel, .app, .appup, boot scripts, sys.config. Text in, plain tables out.
--
-- Knows no files; its messages begin behind the file's name, which the caller puts in front.
--
-- @module edeliver.relup.release.resource

local consult = require "edeliver.relup.consult"
local core = require "edeliver.relup.core"
local term = require "edeliver.relup.term"

core.set_types(term.types) -- start.boot is read without a node

local resource = {}

local START_TYPES = { permanent = true, transient = true, temporary = true, load = true, none = true }

local function is_atom(value) return type(value) == "boolean" or term.kind(value) == "atom" end

local function is_tuple(value, size, name)
  return term.kind(value) == "tuple" and #value == size and (not name or value[1] == term.atom(name))
end

local function is_list(value) return term.kind(value) == "list" or term.kind(value) == "charlist" end

local function refuse(text, ...) return nil, text:format(...), "syntax" end

-- The one term of a file.
local function read_one(text, what)
  local terms, message, code = consult.parse(text)
  if not terms then return nil, message, code end
  if #terms ~= 1 then return refuse("one term is expected in %s, and there are %d", what, #terms) end
  return terms[1]
end

local function each_of_list(value, what, each)
  if not is_list(value) then return refuse("%s is no list", what) end
  local found = {}
  for i = 1, #value do
    local one, message, code = each(value[i])
    if one == nil then return nil, message, code end
    found[i] = one
  end
  return found
end

-- Names and versions become names of folders: nothing that leads elsewhere.
local function is_plain(name) return name ~= "" and not name:find "[/%c]" and not name:find "^%.%.?$" end

-- {Name, Vsn}, {Name, Vsn, Type}, {Name, Vsn, IncludedApplications} or {Name, Vsn, Type, IncludedApplications}
local function application_of(value)
  local version = term.kind(value) == "tuple" and #value >= 2 and #value <= 4 and is_atom(value[1]) and term.text(value[2])
  if not version then return refuse("%s is no application of a release", term.format(value)) end
  local start_type = value[3] ~= nil and is_atom(value[3]) and term.text(value[3]) or "permanent"
  if not START_TYPES[start_type] then return refuse("%s has no start type that is known", term.format(value)) end
  local name = term.text(value[1])
  if not is_plain(name) or not is_plain(version) then return refuse("%s has a name that no folder has", term.format(value)) end
  return { name = name, version = version, start_type = start_type }
end

--- A .rel file.
-- @treturn[1] table `name`, `version`, `erts`, `applications` (a list of `{ name =, version =, start_type = }`)
-- @return[2] nil, message, code
function resource.release(text)
  local value, message, code = read_one(text, "a .rel file")
  if value == nil then return nil, message, code end
  if not is_tuple(value, 4, "release") or not is_tuple(value[2], 2) or not is_tuple(value[3], 2, "erts") then
    return refuse "it is not {release, {Name, Vsn}, {erts, Vsn}, Applications}"
  end
  local release = { name = term.text(value[2][1]), version = term.text(value[2][2]), erts = term.text(value[3][2]) }
  for _, text_of in ipairs { "name", "version", "erts" } do
    if not release[text_of] then return refuse "a name or version in it is no text" end
    if not is_plain(release[text_of]) then return refuse("no folder has the %s %q", text_of, release[text_of]) end
  end
  release.applications, message, code = each_of_list(value[4], "the list of applications", application_of)
  if not release.applications then return nil, message, code end
  return release
end

local function name_of(value)
  if not is_atom(value) then return refuse("%s is no atom", term.format(value)) end
  return term.text(value)
end

local APP_LISTS = { modules = "modules", applications = "applications", included_applications = "included",
  optional_applications = "optional" }

-- One {Key, Value} of an .app file.
local function add_key(app, key, value)
  local list = APP_LISTS[key]
  local message, code
  if list then
    app[list], message, code = each_of_list(value, key, name_of)
    if not app[list] then return nil, message, code end
  elseif key == "vsn" then
    app.version = term.text(value)
    if not app.version then return refuse "its vsn is no text" end
  elseif key == "mod" and is_tuple(value, 2) then
    app.mod = term.text(value[1])
  elseif key == "env" then
    app.env = value
  end
  return true
end

--- An .app file.
-- @treturn[1] table `name`, `version`, `modules`, `applications`, `included`, `optional` (lists of names), `mod` (a module's
-- name, or nil), `env` (a term)
-- @return[2] nil, message, code
function resource.application(text)
  local value, message, code = read_one(text, "an .app file")
  if value == nil then return nil, message, code end
  if not is_tuple(value, 3, "application") or not is_atom(value[2]) or not is_list(value[3]) then
    return refuse "it is not {application, Name, Keys}"
  end
  local app = { name = term.text(value[2]), modules = {}, applications = {}, included = {}, optional = {} }
  for i = 1, #value[3] do
    local pair = value[3][i]
    if not is_tuple(pair, 2) or not is_atom(pair[1]) then return refuse("%s is no key of an .app file", term.format(pair)) end
    local done
    done, message, code = add_key(app, term.text(pair[1]), pair[2])
    if not done then return nil, message, code end
  end
  if not app.version then return refuse "it has no vsn" end
  return app
end

local function entry_of(value)
  if not is_tuple(value, 2) or not is_list(value[2]) then return refuse("%s is no entry of an .appup", term.format(value)) end
  -- A version is a string or, as a binary, a regular expression.
  local is_pattern = term.kind(value[1]) == "binary"
  return { version = term.text(value[1]), is_pattern = is_pattern, instructions = value[2] }
end

--- An .appup file.
-- @treturn[1] table `version`, `up` and `down` (lists of `{ version =, is_pattern =, instructions = }`)
-- @return[2] nil, message, code
function resource.appup(text)
  local value, message, code = read_one(text, "an .appup file")
  if value == nil then return nil, message, code end
  local version = is_tuple(value, 3) and term.text(value[1])
  if not version then return refuse "it is not {Vsn, UpFrom, DownTo}" end
  local appup = { version = version }
  for i, direction in ipairs { "up", "down" } do
    appup[direction], message, code = each_of_list(value[i + 1], "a direction of an .appup", entry_of)
    if not appup[direction] then return nil, message, code end
  end
  return appup
end

--- A boot script: start.boot's bytes, and start.script's text where it is there. They must be equal.
-- @return[1] the term
-- @return[2] nil, message, code
function resource.boot(bytes, text)
  local boot, message, code = core.decode(bytes)
  if boot == nil then return nil, message, code end
  if not is_tuple(boot, 3, "script") then return refuse "it is no boot script" end
  if not text then return boot end
  local script
  script, message, code = read_one(text, "a .script file")
  if script == nil then return nil, "the .script file beside it: " .. message, code end
  if not term.equal(boot, script) then return refuse "it is not equal to the .script file beside it" end
  return boot
end

local function set_key(values, application, key, value)
  values[application] = values[application] or {}
  values[application][key] = value
end

--- A sys.config.
-- @treturn[1] table from each application's name to a table from each key (as Erlang prints it) to its value
-- @treturn[1] table a list of the names of other files that it includes
-- @return[2] nil, message, code
function resource.configuration(text)
  local value, message, code = read_one(text, "a sys.config")
  if value == nil then return nil, message, code end
  if not is_list(value) then return refuse "it is no list" end
  local values, files = {}, {}
  for i = 1, #value do
    local item = value[i]
    local file = term.kind(item) == "charlist" and term.text(item)
    if file then
      files[#files + 1] = file
    elseif not is_tuple(item, 2) or not is_atom(item[1]) or not is_list(item[2]) then
      return refuse("%s is no {Application, Values}", term.format(item))
    else
      local application = term.text(item[1])
      for j = 1, #item[2] do
        local pair = item[2][j]
        if not is_tuple(pair, 2) then return refuse("%s of %s is no {Key, Value}", term.format(pair), application) end
        set_key(values, application, term.format(pair[1]), pair[2])
      end
    end
  end
  return values, files
end

--- The providers that Elixir's releases resolve their configuration by, from a configuration as above.
-- @return a list of modules' names; empty where there are none
-- @return the map that lists them, or nil
function resource.providers(values)
  local init = values.elixir and values.elixir.config_provider_init
  if init == nil or term.kind(init) ~= "map" then return {} end
  local names, providers = {}, init:get(term.atom "providers")
  for i = 1, is_list(providers) and #providers or 0 do
    names[#names + 1] = is_tuple(providers[i], 2) and term.text(providers[i][1]) or nil
  end
  return names, init
end

return resource
