--- What must stand in a script in pairs, as systools_rc checks it.
--
-- @module edeliver.relup.plan.check_pairs

local refuse = require "edeliver.relup.plan.refuse"
local term = require "edeliver.relup.term"

local function is_list(value) return term.kind(value) == "list" or term.kind(value) == "charlist" end
local function is_tuple(value) return term.kind(value) == "tuple" end

local function name_of(instruction)
  local name = is_tuple(instruction) and instruction[1] or instruction
  return term.kind(name) == "atom" and name.name or nil
end

local function second(instruction) return instruction[2] end

local function names_in(script, name, of)
  local found, in_order = {}, {}
  for _, instruction in ipairs(script) do
    if name_of(instruction) == name and is_tuple(instruction) then
      local items = of(instruction)
      for k = 1, is_list(items) and #items or 0 do
        local module = is_tuple(items[k]) and items[k][1] or items[k]
        found[module] = true
        in_order[#in_order + 1] = module
      end
    end
  end
  return found, in_order
end

local function check_all_in(names, set, code, text)
  for _, name in ipairs(names) do
    if not set[name] then refuse(code, text, term.format(name)) end
  end
end

--- Raises a refusal where a load has no load_object_code, or a suspend no resume, or a stop no start, or the other way round.
-- @tparam table before the instructions in front of the point of no return
-- @tparam table script those behind it
return function(before, script)
  local object_code = names_in(before, "load_object_code", function(i) return is_tuple(i[2]) and i[2][3] end)
  for _, instruction in ipairs(script) do
    if name_of(instruction) == "load" and not object_code[instruction[2][1]] then
      refuse("no_object_code", "It loads %s, and has no load_object_code of it.", term.format(instruction[2][1]))
    end
  end
  local suspended, suspends = names_in(script, "suspend", second)
  local resumed, resumes = names_in(script, "resume", second)
  local started, starts = names_in(script, "start", second)
  local stopped, stops = names_in(script, "stop", second)
  check_all_in(suspends, resumed, "suspended_not_resumed", "It suspends %s and does not resume it.")
  check_all_in(resumes, suspended, "resumed_not_suspended", "It resumes %s and does not suspend it.")
  check_all_in(starts, stopped, "start_not_stop", "It starts %s and does not stop it.")
  check_all_in(stops, started, "stop_not_start", "It stops %s and does not start it.")
end
