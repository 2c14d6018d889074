--- The relup's call of the guard: the instruction that has a step run in the middle of OTP's own script.
--
-- Before the point of no return it is bare: where there is no guard it fails, which cancels the upgrade. Behind it a failure
-- would restart the node, so there the same call is wrapped by functions of stdlib: a guard that is missing, or dies, is an ok.
-- Makes and reads terms; knows no node.
--
-- @module edeliver.relup.script.guard_call

local effects = require "edeliver.relup.script.effects"
local term = require "edeliver.relup.term"

local guard_call = {}

local atom, tuple, list = term.atom, term.tuple, term.list
local GUARD, REQUEST = atom "edeliver_relup", atom "Request"

local function form(kind, value) return tuple { atom(kind), 0, value } end

-- `catch gen_server:call(edeliver_relup, Request, infinity)`
local CAUGHT = tuple { atom "catch", 0, tuple { atom "call", 0,
  tuple { atom "remote", 0, form("atom", atom "gen_server"), form("atom", atom "call") },
  list { form("atom", GUARD), form("var", REQUEST), form("atom", atom "infinity") } } }

--- `{apply,{gen_server,call,[edeliver_relup,Request,infinity]}}`
-- @param request `{run, Name, Arguments}`
function guard_call.bare(request)
  return tuple { atom "apply", tuple { atom "gen_server", atom "call", list { GUARD, request, atom "infinity" } } }
end

--- `{apply,{erl_eval,expr,[{'catch',0,...},[{'Request',Request}]]}}`: the same, and it never fails.
function guard_call.caught(request)
  return tuple { atom "apply", tuple { atom "erl_eval", atom "expr", list { CAUGHT, list { tuple { REQUEST, request } } } } }
end

--- What a relup's instruction asks the guard for.
-- @return[1] `{run, Name, Arguments}`, and whether the call is caught
-- @return[2] nil where it is no call of the guard
function guard_call.request(instruction)
  local module, _, arguments = effects.applies(instruction)
  if not module or term.kind(arguments) ~= "list" then return nil end
  if module == atom "gen_server" and arguments[1] == GUARD then return arguments[2], false end
  if module ~= atom "erl_eval" or not term.equal(arguments[1], CAUGHT) then return nil end
  local binding = term.kind(arguments[2]) == "list" and arguments[2][1]
  if term.kind(binding) ~= "tuple" or binding[1] ~= REQUEST then return nil end
  return binding[2], true
end

--- A script whose calls of the guard are caught behind the point of no return, and bare before it.
-- @param script a list of relup instructions
-- @return a new list
function guard_call.catch(script)
  local past, changed = false, {}
  for i, instruction in ipairs(script) do
    past = past or effects.is_point_of_no_return(instruction)
    local request, caught = guard_call.request(instruction)
    local as_it_is = not request or caught == past
    changed[i] = as_it_is and instruction or (past and guard_call.caught or guard_call.bare)(request)
  end
  return list(changed)
end

return guard_call
