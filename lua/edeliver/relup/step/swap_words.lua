--- What a swap came to, in words for people: what was done, or why it was refused, and what to do about it.
--
-- Knows the reports of `step.swap`, and no node.
--
-- @module edeliver.relup.step.swap_words

local count = require "edeliver.relup.base.count"
local shape = require "edeliver.relup.node.shape"
local term = require "edeliver.relup.term"

local swap_words = {}

local atom = term.atom
local SHOWN, LENGTH = 3, 200 -- rows; bytes of a reason

-- A reason, as short as it can be: an exit without its stack, an error as what it is.
local EXIT = shape.tuple(shape.is(atom "EXIT"), shape.any)
local ERROR = shape.tuple(shape.is(atom "error"), shape.any)
local WITH_STACK = shape.tuple(shape.any, shape.list(shape.tuple(shape.atom, shape.atom, shape.any, shape.any), 1))

local function reason_in_words(reason)
  if ERROR(reason) then reason = reason[2] end
  if EXIT(reason) then reason = reason[2] end
  if WITH_STACK(reason) then reason = reason[1] end
  if reason == atom "timeout" then return "no answer in time" end
  if reason == atom "no_init" then return "its init cannot run while what it has made is there, as a named table" end
  local text = term.format(reason)
  return #text > LENGTH and text:sub(1, LENGTH) .. "…" or text
end

-- "<0.1.0> (badarg), <0.2.0> (no answer in time) and 3 more"
local function rows_in_words(rows, describe)
  local words = {}
  for i = 1, math.min(#rows, SHOWN) do words[i] = describe(rows[i]) end
  return table.concat(words, ", ") .. (#rows > SHOWN and (" and %d more"):format(#rows - SHOWN) or "")
end

-- By the name of what failed: its rows, what is said of them, and what to do.
local REFUSALS = {
  suspend = { shape.list(shape.tuple(shape.pid, shape.any), 1), function(rows)
    return ("%s not be suspended: %s. See what they do (`edeliver-relup NODE ps --sort mailbox`), or give them more time "
      .. "(config.code_change_timeout, in ms)"):format(count.of(#rows, "process could", "processes could"),
        rows_in_words(rows, function(row) return ("%s (%s)"):format(tostring(row[1]), reason_in_words(row[2])) end))
  end },
  code_change = { shape.list(shape.tuple(shape.atom, shape.pid, shape.any), 1), function(rows)
    return ("code_change failed for %s: %s. `--rehearse all` finds such states before anything is stopped; "
      .. 'config.on_failed_code_change = "restart" restarts these processes'):format(count.of(#rows, "process"),
        rows_in_words(rows, function(row)
          return ("%s of %s (%s)"):format(tostring(row[2]), term.format(row[1]), reason_in_words(row[3]))
        end))
  end },
  not_loaded = { shape.list(shape.tuple(shape.atom, shape.any), 1), function(rows)
    return ("code could not be loaded: %s"):format(rows_in_words(rows, function(row)
      return ("%s (%s)"):format(term.format(row[1]), reason_in_words(row[2]))
    end))
  end },
  on_load = { shape.list(shape.tuple(shape.atom, shape.any), 1), function(rows)
    return ("the on_load of %s failed (%s): a NIF library that cannot be upgraded needs a restart"):format(
      term.format(rows[1][1]), reason_in_words(rows[1][2]))
  end },
  children = { shape.list(shape.tuple(shape.atom, shape.pid, shape.any), 1), function(rows)
    return ("a new child did not start: %s"):format(rows_in_words(rows, function(row)
      return ("of %s (%s)"):format(term.format(row[1]), reason_in_words(row[3]))
    end))
  end },
}
local FAILED = shape.tuple(shape.atom, shape.any)
local NOT_STARTED = shape.tuple(shape.is(atom "not_started"), shape.atom, shape.any)

--- Why a swap was refused.
-- @tparam table report of `step.swap`
-- @string name of the node
-- @treturn string
function swap_words.refusal(report, name)
  local reason, words = report.reason
  if NOT_STARTED(reason) then
    words = ("the application %s, which is added, did not start (%s)"):format(term.format(reason[2]), reason_in_words(reason[3]))
  elseif FAILED(reason) and REFUSALS[reason[1].name] and REFUSALS[reason[1].name][1](reason[2]) then
    words = REFUSALS[reason[1].name][2](reason[2])
  else
    words = reason_in_words(reason)
  end
  if report.outcome == "broken" then
    return ("The swap failed: %s. `edeliver-relup %s status` shows what runs there"):format(words, name)
  end
  local killed = #report.restarted
  local restarted = killed > 0 and (", but for %s: killed, for supervisors to start anew, since %s could not be taken back")
    :format(count.of(killed, "process"), count.verb(killed, "it", "they")) or ""
  return ("The swap was refused: %s. Nothing was changed on %s%s"):format(words, name, restarted)
end

--- What was done in a stop.
-- @tparam table report of `step.swap`
-- @treturn string
function swap_words.done(report)
  local parts = {}
  for i, part in ipairs { "suspend", "load", "change", "resume" } do
    parts[i] = ("%s %.1f"):format(part, report[part] or 0)
  end
  local words = { ("swapped in %.1f ms (%s), %s"):format(report.stand_still or 0, table.concat(parts, ", "),
    count.of(report.processes or 0, "process")) }
  local function add(text, ...) words[#words + 1] = text:format(...) end
  for _, restarted in ipairs(report.restarted) do
    add("%s of %s was restarted: its code_change failed (%s)", tostring(restarted.pid), restarted.module,
      reason_in_words(restarted.reason))
  end
  if report.started + report.ended > 0 then
    add("%s started, %d ended", count.of(report.started, "child", "children"), report.ended)
  end
  for _, unchanged in ipairs(report.unchanged) do
    add("the supervisor %s of %s was not changed, and runs as before: %s", tostring(unchanged.pid), unchanged.module,
      reason_in_words(unchanged.reason))
  end
  for _, missing in ipairs(report.not_started) do
    add("%s of %s could not start a new child (%s): supervisor:restart_child starts it", tostring(missing.pid), missing.module,
      reason_in_words(missing.reason))
  end
  for _, missing in ipairs(report.not_loaded) do
    add("%s was not loaded, and its old code stays: %s", missing.module, reason_in_words(missing.reason))
  end
  return table.concat(words, "; ")
end

return swap_words
