--- The rehearsal of a swap: whether the new code takes the states of the processes that run, tried in a VM beside the node before
-- anything is stopped.
--
-- The way back is tried on what comes out, since a swap that fails takes it, and so does a rollback. On the way down the code
-- that runs now is the one that changes the states, so there is nothing to rehearse. Knows no run.
--
-- @module edeliver.relup.step.rehearsal

local count = require "edeliver.relup.base.count"
local erlang = require "edeliver.relup.node.erlang"
local release_folder = require "edeliver.relup.otp.release_folder"
local shape = require "edeliver.relup.node.shape"
local swap = require "edeliver.relup.step.swap"
local term = require "edeliver.relup.term"

local rehearsal = {}

local atom, tuple, list, charlist = term.atom, term.tuple, term.list, term.charlist
local TIMEOUT, PATIENCE = 120000, 30000 -- ms: for all of it, and for a config provider

local REASONS = { no_peer = "its OTP is older than 25", no_erl = "it has no erl to start one with" }
local TRIED = shape.list(shape.tuple(shape.atom, shape.integer, shape.integer))
local FAILED = shape.list(shape.tuple(shape.atom, shape.pid, shape.any))
local ERROR = shape.tuple(shape.is(atom "error"), shape.any)
local REHEARSED = shape.either(shape.tuple(shape.is(atom "ok"), TRIED, FAILED, FAILED), ERROR)
local function is_answers(value) return shape.list(nil, 2)(value) and REHEARSED(value[2]) end
local ANSWER = shape.either(shape.tuple(shape.is(atom "ok"), is_answers), ERROR)

-- What the node is asked for.
local function questions(stops)
  local changes, load = {}, {}
  for _, stop in ipairs(stops) do
    for _, change in ipairs(stop.change) do
      if change.mode == "up" then changes[#changes + 1] = tuple { change.module, change.extra } end
    end
    for _, each in ipairs(stop.load) do load[#load + 1] = swap.code(each) end
  end
  return changes, load
end

--- Checks what configuration asks for; raises where it makes no sense.
function rehearsal.check(most, level)
  if not most or most == "all" or math.type(most) == "integer" and most > 0 then return end
  error(('config.rehearse is a number of processes, or "all", not %q'):format(tostring(most)), (level or 1) + 1)
end

-- Asks a VM of the new release, which first gets the configuration that a deploy has resolved, or that its providers give; where
-- they fail, it has that of its files.
local function ask(node, version, bindings)
  local root, message, code = release_folder.root(node)
  if not root then return nil, message, code end
  local place = { Root = charlist(root), Version = charlist(version) }
  local resolve = node:expression("resolve_configuration", { Patience = PATIENCE, Root = place.Root, Version = place.Version })
  local configure = node:expression("configure_vm", { Resolve = erlang.call_term(resolve) })
  local answer
  answer, message, code = shape.expect(node, "the rehearsal", ANSWER, node:run("next_vm", {
    Questions = list { erlang.call_term(configure), erlang.call_term(node:expression("rehearse", bindings)) },
    Root = place.Root, Version = place.Version,
  }, TIMEOUT))
  if answer == nil then return nil, message, code end
  return ERROR(answer) and answer or answer[2][2]
end

-- The first few that failed, in words.
local function named(failed)
  local words = {}
  for i = 1, math.min(#failed, 3) do
    local row = failed[i]
    words[i] = ("%s of %s: %s"):format(tostring(row[2]), term.format(row[1]), term.format(row[3]))
  end
  return table.concat(words, "; ")
end

--- Rehearses.
-- @param node
-- @string version the one that is to run
-- @tparam table stops of `script.fuse`
-- @param most how many processes of each module, or "all"
-- @return[1] what was tried, in words
-- @return[1] what the way back does not take, in words; nil where it takes all
-- @return[2] nil, message, code: "code_change" where a state is not taken; "no_vm" where there is no such VM, so nothing is known
function rehearsal.rehearse(node, version, stops, most)
  local changes, load = questions(stops)
  if #changes == 0 then return "nothing to rehearse: no process is changed by the new code" end
  local answer, message, code = ask(node, version, {
    Changes = list(changes), Load = list(load), Most = most == "all" and (1 << 50) or most, Timeout = TIMEOUT,
  })
  if answer == nil then return nil, message, code end
  if answer[1] == atom "error" then
    local why = shape.atom(answer[2]) and REASONS[answer[2].name] or term.format(answer[2]):sub(1, 200)
    return nil, ("No VM could be started beside %s to try code_change in: %s"):format(node.name, why), "no_vm"
  end
  local tried, failed, no_way_back = answer[2], answer[3], answer[4]
  if #failed > 0 then
    return nil, ("The new code does not take the state of %s: %s. Nothing was changed"):format(count.of(#failed, "process"),
      named(failed)), "code_change"
  end
  local words = {}
  for i, row in ipairs(tried) do
    words[i] = ("%s of %s"):format(count.of(row[2], "state"), term.format(row[1])) .. (row[3] == 0 and ""
      or (" (%d unknown: code_change wants what only the node itself has)"):format(row[3]))
  end
  local back = #no_way_back > 0 and ("code_change back to the version of now fails for %s: %s. A swap that has to go back kills "
    .. "each of these, for its supervisor to start it anew, and a rollback is refused"):format(count.of(#no_way_back, "process"),
      named(no_way_back)) or nil
  return ("code_change of %s was rehearsed"):format(table.concat(words, ", ")), back
end

return rehearsal
