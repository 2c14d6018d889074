--- The calls of the guard that a relup makes: what the operator's program has to serve while the release handler runs the script,
-- and nothing else.
--
-- Any process on the node can ask the guard for anything. So a call is served only where the relup, as it was read before, makes
-- this call, with these arguments, and now; and only as long as somebody waits for the release handler. Asks no node.
--
-- @classmod edeliver.relup.step.expected_calls

local core = require "edeliver.relup.core"
local effects = require "edeliver.relup.script.effects"
local guard = require "edeliver.relup.undo.guard"
local term = require "edeliver.relup.term"

local expected_calls = {}
expected_calls.__index = expected_calls

local RUN, GUARD = term.atom "run", term.atom(guard.NAME)

local function is_compound(value)
  local kind = term.kind(value)
  return kind == "tuple" or kind == "list"
end

local function contains(value, wanted)
  if value == wanted then return true end
  if not is_compound(value) then return false end
  for i = 1, #value do
    if contains(value[i], wanted) then return true end
  end
  return false
end

local function is_request(value)
  return term.kind(value) == "tuple" and #value == 3 and value[1] == RUN and term.text(value[2]) ~= nil
    and term.kind(value[3]) == "list"
end

-- `{run, Name, Arguments}`, however it is wrapped.
local function request_in(value)
  if is_request(value) then return value end
  for i = 1, is_compound(value) and #value or 0 do
    local found = request_in(value[i])
    if found then return found end
  end
end

-- What an instruction asks of the guard, or nil.
local function request_of(entry)
  local module, _, arguments = effects.applies(entry)
  if not module or not contains(arguments, GUARD) then return nil end
  return request_in(arguments)
end

--- The calls of a script.
-- @param script the instructions of a relup's entry
-- @return `calls`, a list of `{ name =, arguments = }`; how many of them stand `before` the point of no return, and how many
-- `within`, before the last change that the script makes
function expected_calls.new(script)
  local self = setmetatable({ calls = {}, before = 0, within = 0 }, expected_calls)
  local past = false
  for _, entry in ipairs(script) do
    if effects.is_point_of_no_return(entry) then past = true end
    local request = request_of(entry)
    if request then
      self.calls[#self.calls + 1] = { name = term.text(request[2]), arguments = request[3] }
      if not past then self.before = #self.calls end
    elseif not effects.applies(entry) then
      self.within = #self.calls
    end
  end
  return self
end

--- What serves these calls, in their order, and refuses all others.
-- @tparam function serve `serve(name, arguments, ...)`: true, or nil, message, code
-- @tparam[opt] table options `deadline` (as `core.now` counts: from then on nothing is served), `count` (only the first so many),
-- `refused(message)` (hears what was refused)
-- @treturn function the same, for anybody who asks
function expected_calls:serving(serve, options)
  options = options or {}
  local served, count, deadline = 0, options.count or #self.calls, options.deadline or math.huge
  local function refuse(message, code)
    if options.refused then options.refused(message) end
    return nil, message, code
  end
  return function(name, arguments, ...)
    local call = served < count and self.calls[served + 1]
    if not call or call.name ~= name or not term.equal(call.arguments, arguments) then
      return refuse(("a process on the node asked for %s, which the relup does not call for now: refused"):format(
        tostring(name)), "unexpected_call")
    end
    if core.now() >= deadline then return refuse(name .. " came too late: the time for the install is over", "timeout") end
    served = served + 1
    return serve(name, arguments, ...)
  end
end

return expected_calls
