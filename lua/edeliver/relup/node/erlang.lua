--- Erlang text as calls that a node can make.
--
-- The text is scanned, parsed and evaluated on the node within the one call: nothing is loaded there, and a call that is kept
-- suits any OTP version that makes it later. Text of ours lies in `erlang/NAME.erl`, a module with one function, `run`, of one
-- clause, whose arguments are variables; there is nothing behind it. With `-parts([ask_many])` its argument `AskMany` is what the
-- run of `erlang/ask_many.erl` gives, whose arguments have to be bound, too. Knows no connection.
--
-- @module edeliver.relup.node.erlang

local own_file = require "edeliver.relup.base.own_file"
local term = require "edeliver.relup.term"

local erlang = {}

local atom, tuple, list = term.atom, term.tuple, term.list

-- What evaluates text: abstract code ---------------------------------------------------------------------------------

local function a(name) return tuple { atom "atom", 1, atom(name) } end
local function v(name) return tuple { atom "var", 1, atom(name) } end
local function t(...) return tuple { atom "tuple", 1, list { ... } } end

local function call(module, fun, ...)
  return tuple { atom "call", 1, tuple { atom "remote", 1, a(module), a(fun) }, list { ... } }
end

local function case(of, ...)
  local clauses = {}
  for i, clause in ipairs { ... } do
    clauses[i] = tuple { atom "clause", 1, list { clause[1] }, list {}, list { clause[2] } }
  end
  return tuple { atom "case", 1, of, list(clauses) }
end

-- What is done with the Forms that Text has, or else with a Reason: `{Location, Module, Descriptor}`.
local function parsed(forms_do, reason_does)
  local refused = { t(a "error", v "Reason"), reason_does }
  return case(call("erl_scan", "string", v "Text"),
    { t(a "ok", v "Tokens", v "_"),
      case(call("erl_parse", "parse_exprs", v "Tokens"), { t(a "ok", v "Forms"), forms_do }, refused) },
    { t(a "error", v "Reason", v "_"), reason_does })
end

-- One block, and only its value: else every variable would come back with it.
local function value(bindings)
  local block = t(a "block", tuple { atom "integer", 1, 1 }, v "Forms")
  return call("erl_eval", "expr", block, bindings, a "none", a "none", a "value")
end

local REFUSED, RAISED = t(a "error", v "Reason"), call("erlang", "error", v "Reason")
local FOR_VALUE, CHECKED = parsed(value(v "Bindings"), RAISED), parsed(t(a "value", value(v "Bindings")), REFUSED)
local CHECKED_WITH_VARIABLES = parsed(call("erl_eval", "exprs", v "Forms", v "Bindings"), REFUSED)
-- [{Name, Value} || {Name, Text, Bindings} <- Parts] are bound, too.
local PARTS = tuple { atom "lc", 1, t(v "Name", FOR_VALUE), list {
  tuple { atom "generate", 1, t(v "Name", v "Text", v "Bindings"), v "Parts" },
} }
local ALL = call("lists", "keysort", tuple { atom "integer", 1, 1 }, call("lists", "append", v "Bindings", PARTS))
local WITH_PARTS = tuple { atom "block", 1, list { tuple { atom "match", 1, v "All", ALL }, parsed(value(v "All"), RAISED) } }

local function evaluate(how, text, bindings, parts)
  local bound = { tuple { atom "Bindings", bindings }, tuple { atom "Text", term.charlist(text) } }
  if parts then table.insert(bound, 2, tuple { atom "Parts", parts }) end
  return { "erl_eval", "expr", { how, list(bound), atom "none", atom "none", atom "value" } }
end

-- `{ X = term }` as erl_eval takes it: an orddict.
local function bind(bindings)
  local names, bound = {}, {}
  for name in pairs(bindings or {}) do names[#names + 1] = name end
  table.sort(names)
  for i, name in ipairs(names) do bound[i] = tuple { atom(name), bindings[name] } end
  return list(bound)
end

-- Text from anywhere -------------------------------------------------------------------------------------------------

--- What evaluates expressions that may be none.
-- @string text expressions, with their full stop
-- @tparam[opt] table bindings `{ X = term }`
-- @return a call `{ module, fun, arguments }`. It answers `{value, Value}`, or `{error, {Location, Module, Descriptor}}`
function erlang.checked(text, bindings) return evaluate(CHECKED, text, bind(bindings)) end

--- The same, with variables that stay bound.
-- @string text expressions, with their full stop
-- @param bindings as `erl_eval` has them: what the answer before this one had, or an empty list
-- @return a call, which answers `{value, Value, Bindings}`, or `{error, {Location, Module, Descriptor}}`
function erlang.with_variables(text, bindings) return evaluate(CHECKED_WITH_VARIABLES, text, bindings) end

-- Text of ours -------------------------------------------------------------------------------------------------------

local FOLDER = (debug.getinfo(1, "S").source:match "^@(.*)[/\\]node[/\\][^/\\]*$" or ".") .. "/erlang/"

-- By name: `{ text = the body of run, arguments = set of names, parts = names of files by the argument that they are }`.
local modules = {}

local function camel_case(name) return (("_" .. name):gsub("_(.)", string.upper)) end

local module_of

-- Nil and what is wrong with the file where it is no module of ours.
local function load_module(name)
  local source, message = own_file.read(FOLDER .. name .. ".erl")
  if not source then return nil, message end
  local arguments, text = ("\n" .. source):match "\nrun%(([%w_,%s]*)%)%s*%->(.*)$"
  if not text then return nil, ("%s.erl has no function run(Argument, ...) ->"):format(name) end
  local module = { text = text, arguments = {}, parts = {} }
  for argument in arguments:gmatch "[%w_]+" do module.arguments[argument] = true end
  for part in (source:match "\n%-parts%(%[([%w_,%s]*)%]%)" or ""):gmatch "[%w_]+" do
    module.parts[camel_case(part)], module.arguments[camel_case(part)] = part, nil
    local loaded, why = module_of(part)
    if not loaded then return nil, why end
    for argument in pairs(loaded.arguments) do module.arguments[argument] = true end
  end
  modules[name] = module
  return module
end

-- How bindings differ from the arguments of `run`, in words; nil where they don't.
local function mismatch(name, arguments, bindings)
  for argument in pairs(arguments) do
    if bindings[argument] == nil then return ("run of %s.erl needs a binding for %s"):format(name, argument) end
  end
  for argument in pairs(bindings) do
    if not arguments[argument] then return ("run of %s.erl has no argument %s"):format(name, tostring(argument)) end
  end
end

function module_of(name)
  if modules[name] then return modules[name] end
  return load_module(name)
end

-- What is bound besides: `[{Argument, Text, Bindings}]`; nil where there is nothing.
local function parts_of(module, bindings)
  local made = {}
  for argument, name in pairs(module.parts) do
    local part, bound = module_of(name), {}
    for each in pairs(part.arguments) do bound[each] = bindings[each] end
    made[#made + 1] = tuple { atom(argument), term.charlist(part.text), bind(bound) }
  end
  return #made > 0 and list(made) or nil
end

--- What evaluates the body of `run` in `erlang/NAME.erl`.
-- @string name NAME
-- @tparam[opt] table bindings `{ Argument = term }`, one for each argument of `run` and of its parts; any other raises, and so
-- does one that is missing
-- @tparam[opt=1] integer level who is to blame then: 1 is the caller
-- @return a call `{ module, fun, arguments }`, which can be kept and made later, over any connection. It answers what `run` gives
-- @usage erlang.expression("restart_children", { Children = children })
function erlang.expression(name, bindings, level)
  level, bindings = (level or 1) + 1, bindings or {}
  local module, message = module_of(name)
  if not module then error(message, level) end
  message = mismatch(name, module.arguments, bindings)
  if message then error(message, level) end
  local parts = parts_of(module, bindings)
  return evaluate(parts and WITH_PARTS or FOR_VALUE, module.text, bind(bindings), parts)
end

--- A call as a term, `{Module, Fun, Arguments}`, to be handed to other text of ours, which makes it with `apply/3`.
function erlang.call_term(made)
  return tuple { atom(made[1]), atom(made[2]), list { table.unpack(made[3]) } }
end

return erlang
