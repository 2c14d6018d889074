--- What the file of a compiled module says of it: behaviours, structs, what it mentions, whether its code_change is a default.
--
-- From attributes, exports, imports, literals and instructions; no code runs. What cannot be told is nil, never guessed.
--
-- @classmod edeliver.relup.release.module

local core = require "edeliver.relup.core"
local term = require "edeliver.relup.term"

core.set_types(term.types)

local module = {}
module.__index = module

-- Instructions by their codes in genop.tab.
local LABEL, TEST_HEAP, RETURN, MOVE, LINE, PUT_TUPLE2, EXECUTABLE_LINE, DEBUG_LINE = 1, 16, 19, 64, 153, 164, 183, 184
local SILENT = { [LABEL] = true, [TEST_HEAP] = true, [LINE] = true, [EXECUTABLE_LINE] = true, [DEBUG_LINE] = true }

--- Opens a file's bytes.
-- @return[1] a module
-- @return[2] nil, message, code
function module.open(bytes)
  local file, message, code = core.beam(bytes)
  if not file then return nil, message, code end
  local name
  name, message, code = file:module()
  if not name then return nil, message, code end
  return setmetatable({ name = name, file = file, parts = {} }, module)
end

-- What the file's method of that name gives, asked once.
local function part(self, name)
  local known = self.parts[name]
  if not known then
    known = table.pack(self.file[name](self.file))
    self.parts[name] = known
  end
  return table.unpack(known, 1, known.n)
end

--- Whether all that is asked of it can be read. What a newer compiler has written is no damage: it is not known, then.
-- @return[1] true
-- @return[2] nil, message with the offset, code
function module:check()
  for _, name in ipairs { "exports", "imports", "funs", "attributes", "literals", "functions" } do
    local value, message, code = part(self, name)
    if value == nil and code ~= "not_supported" then return nil, message, code end
  end
  return true
end

--- Frees what it takes up; it may be left to the collector.
function module:close() self.file:close() end

local function set_of(list)
  local set = {}
  for _, name in ipairs(list or {}) do set[name] = true end
  return set
end

--- Whether the module exports a function, "name/arity".
function module:exports(name)
  self.exported = self.exported or set_of(part(self, "exports"))
  return self.exported[name] == true
end

--- Whether the module calls a function of another, "module:name/arity".
function module:calls(name)
  self.imported = self.imported or set_of(part(self, "imports"))
  return self.imported[name] == true
end

--- The values of an attribute, one after another.
-- @string name
-- @return a list of terms
function module:attribute(name)
  local values = {}
  local attributes = part(self, "attributes") or term.list {}
  for i = 1, term.kind(attributes) == "list" and #attributes or 0 do
    local attribute = attributes[i]
    local is_it = term.kind(attribute) == "tuple" and #attribute == 2 and term.text(attribute[1]) == name
    local list = is_it and attribute[2]
    for j = 1, list and (term.kind(list) == "list" or term.kind(list) == "charlist") and #list or 0 do
      values[#values + 1] = list[j]
    end
  end
  return values
end

local function names_of(values)
  local names = {}
  for _, value in ipairs(values) do
    if term.kind(value) == "atom" then names[#names + 1] = value.name end
  end
  return names
end

--- The behaviours that it says it has.
-- @return a set of names
function module:behaviours()
  local names = names_of(self:attribute "behaviour")
  for _, name in ipairs(names_of(self:attribute "behavior")) do names[#names + 1] = name end
  return set_of(names)
end

--- Whether it is a supervisor's callback module.
function module:is_supervisor()
  local behaviours = self:behaviours()
  return behaviours.supervisor or behaviours["Elixir.Supervisor"] or behaviours["Elixir.DynamicSupervisor"]
    or behaviours.supervisor_bridge or false
end

local SERVERS = { "gen_server", "Elixir.GenServer", "gen_statem", "gen_event", "gen_fsm", "Elixir.GenStage", "Elixir.Agent",
  "Elixir.Phoenix.Channel", "Elixir.Phoenix.LiveView" }

--- Whether it is the callback module of processes with a state.
function module:is_server()
  local behaviours = self:behaviours()
  for _, name in ipairs(SERVERS) do
    if behaviours[name] then return true end
  end
  return false
end

--- Whether it is a LiveComponent, which has no process: its state is a part of a LiveView's.
function module:is_live_component() return self:behaviours()["Elixir.Phoenix.LiveComponent"] or false end

--- Whether it is loaded with side effects: it has an on_load function, or loads a NIF's library.
function module:has_on_load() return #self:attribute "on_load" > 0 or self:calls "erlang:load_nif/2" end

--- Whether it loads a NIF's library.
function module:has_nif() return self:calls "erlang:load_nif/2" end

--- Whether it is a protocol of Elixir.
function module:is_protocol() return #self:attribute "__protocol__" > 0 end

--- A function's instructions without those that do nothing.
-- @return a list of instructions as core has them; nil where there is no such function, or it cannot be read
function module:instructions(name, arity)
  local found = self.file:code(name, arity)
  if not found then return nil end
  local kept = {}
  for _, instruction in ipairs(found) do
    if not SILENT[instruction[1]] then kept[#kept + 1] = instruction end
  end
  return kept
end

local function is_operand(operand, kind, value) return operand ~= nil and operand[1] == kind and operand[2] == value end

--- How a process of this module changes its state.
-- @treturn string "none" (it exports no code_change), "default" (the one of `use GenServer`: it keeps the state), "own"; nil
-- where its code cannot be read
function module:code_change()
  if not self:exports "code_change/3" then return self:exports "code_change/4" and "own" or "none" end
  local code = self:instructions("code_change", 3)
  if not code then return nil end
  local made = code[1]
  local keeps = #code == 2 and code[2][1] == RETURN and made[1] == PUT_TUPLE2 and #made == 5 and is_operand(made[2], "x", 0)
    and is_operand(made[3], "list", 2) and is_operand(made[4], "atom", "ok") and is_operand(made[5], "x", 1)
  return keeps and "default" or "own"
end

--- The fields of its struct, where it has one, with their defaults.
-- @return a table from each field's name to its default; nil where it has no struct, or that cannot be told
function module:struct()
  if not self:exports "__struct__/0" then return nil end
  local code = self:instructions("__struct__", 0)
  if not code or #code ~= 2 or code[2][1] ~= RETURN or code[1][1] ~= MOVE or code[1][2][1] ~= "literal" then return nil end
  local map = self.file:literal(code[1][2][2])
  if map == nil or term.kind(map) ~= "map" then return nil end
  local fields = {}
  for key, value in pairs(map) do
    local name = term.text(key)
    if name and name ~= "__struct__" then fields[name] = value end
  end
  return fields
end

local function collect_atoms(value, found)
  local kind = term.kind(value)
  if kind == "atom" and type(value) ~= "boolean" then
    found[value.name] = true
  elseif kind == "tuple" or kind == "list" then
    for i = 1, #value do collect_atoms(value[i], found) end
    if kind == "list" and getmetatable(value) and value.tail ~= nil then collect_atoms(value.tail, found) end
  elseif kind == "map" then
    for key, item in pairs(value) do
      collect_atoms(key, found)
      collect_atoms(item, found)
    end
  end
end

-- Calls of the module's own functions, by the instruction's code: at which place the label is. What makes a fun names it in FunT.
local CALLS = { [4] = 2, [5] = 2, [6] = 2 } -- call, call_last, call_only
local EXTERNAL_CALLS = { [7] = 2, [8] = 2, [78] = 2 } -- call_ext, call_ext_last, call_ext_only
local MAKES_FUN = { [103] = 1, [171] = 1 } -- make_fun2, make_fun3
local MAX_FUNCTIONS = 500

-- What one function mentions, and which functions it calls.
local function add_function(self, code, found, follow)
  for _, instruction in ipairs(code) do
    for i = 2, #instruction do
      local kind, value = instruction[i][1], instruction[i][2]
      if kind == "atom" and value then found.atoms[value] = true end
      local literal = kind == "literal" and self.file:literal(value)
      if literal then collect_atoms(literal, found.atoms) end
    end
    local number = instruction[1]
    local place = CALLS[number] or EXTERNAL_CALLS[number] or MAKES_FUN[number]
    local operand = place and instruction[place + 1]
    if CALLS[number] and operand then
      follow(part(self, "functions")[operand[2]])
    elseif MAKES_FUN[number] and operand then
      local fun = part(self, "funs")[operand[2] + 1]
      follow(fun and ("%s/%d"):format(fun.name, fun.arity))
    elseif operand then
      local import = part(self, "imports")[operand[2] + 1]
      if import then found.calls[import] = true end
    end
  end
end

--- What a function mentions, in its instructions and their literals, and in those of the module's functions that it calls.
-- @treturn table `atoms` and `calls` (functions of other modules, "module:name/arity"): sets; nil where there is none of that
-- name, or something of it cannot be read
function module:mentions(name, arity)
  if not part(self, "functions") or not part(self, "funs") or not part(self, "imports") then return nil end
  local found, known, waiting = { atoms = {}, calls = {} }, {}, {}
  local function follow(function_name)
    if function_name and not known[function_name] then
      known[function_name] = true
      waiting[#waiting + 1] = function_name
    end
  end
  follow(("%s/%d"):format(name, arity))
  for i = 1, MAX_FUNCTIONS do
    if not waiting[i] then return found end
    local function_name, number = waiting[i]:match "^(.*)/(%d+)$"
    local code = self:instructions(function_name, math.tointeger(number))
    if not code then return nil end
    add_function(self, code, found, follow)
  end
  return nil
end

return module
