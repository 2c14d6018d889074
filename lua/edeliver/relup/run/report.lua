--- What a run did: each step with its time and result, what was undone, and what is still suspended.
--
-- Data first; `tostring(report)` says it for people, who may print it as it is. Runs nothing.
--
-- @classmod edeliver.relup.run.report

local count = require "edeliver.relup.base.count"
local escape = require "edeliver.relup.base.escape"

local report = {}
report.__index = report

--- An empty report.
-- @field node name of the node
-- @field name of the application
-- @field version that was to be installed, if one was
-- @field from the version that ran before an install
-- @field at when the run began, as `os.time` says
-- @field dry_run whether nothing was touched; then `would_suspend` is the pid set of what it would have suspended
-- @field journal the path of its journal
-- @field after_install what had become of the suspended after the install: `{ still =, woken = (by the relup's own resume),
-- died =, new = (never suspended) }`, numbers
-- @field returns_to the version that a restart of the node returns to, where the installed one is not permanent
-- @field swap what swaps came to, where `config.engine` was "swap": a list, as `step.swap` reports it
-- @field deployed what a deploy or a rollback did: `planned`, `shipped`, `verified`, `way_back`, `is_permanent`, as far as it got
-- @field steps list of `{ name, status = "done" | "failed" | "skipped" | "not run", at, ms, result, message, code }`, and, where
-- it was an error in Lua, its `traceback`, which is shown to nobody; `at` is when it began, in ms since the run did
-- @field undone list of what was undone, in words
-- @field suspended how many processes were suspended at most
-- @field perhaps_suspended how many there were at most, where not all of them are known to have been: no answer came
-- @field stood_still_ms how long they were, from the first suspend to the last resume, those that swaps suspended included
-- @field stood_still how long each process was, at most: `{ p50 =, p99 =, max = }` in ms
-- @field lost list of pids that ended while they were suspended
-- @field still_suspended list of pids that are suspended, or may be
-- @field still_undone list of `{ key, undo }` that could not be undone
-- @field ok whether every step was done and nothing is left
-- @field code why not
-- @field completed what ran to its end on the node although the run had failed meanwhile, in words: "the install"
-- @field restarted whether the node has been restarted since the run began
function report.new(fields)
  local self = setmetatable(fields, report)
  self.steps, self.undone, self.still_suspended, self.still_undone, self.lost = {}, {}, {}, {}, {}
  self.suspended, self.ok = 0, false
  return self
end

local function result_text(step)
  if step.message then return step.message end
  if type(step.result) == "string" or type(step.result) == "number" then return tostring(step.result) end
  return ""
end

local function step_line(step, width)
  local time = step.ms and ("%8.1f ms"):format(step.ms) or (" "):rep(11)
  return (("  %-" .. width .. "s  %-7s %s  %s"):format(step.name, step.status, time, result_text(step)):gsub("%s+$", ""))
end

--- What is still suspended and what to do about it, in words; nil where nothing is.
function report:left_behind()
  local lines = {}
  if #self.still_suspended > 0 then
    local shown = {}
    for i = 1, math.min(#self.still_suspended, 5) do shown[i] = tostring(self.still_suspended[i]) end
    lines[1] = ("%s may still be suspended on %s: %s%s"):format(count.of(#self.still_suspended, "process"), self.node,
      table.concat(shown, ", "), #self.still_suspended > 5 and ", ..." or "")
  end
  if #self.still_undone > 0 then
    lines[#lines + 1] = ("%s not undone yet (%s)"):format(count.of(#self.still_undone, "call is", "calls are"),
      self.still_undone[1].key)
  end
  if lines[1] then
    lines[#lines + 1] = ("`edeliver-relup %s recover%s`, or relup.recover, undoes what the guard there has not undone"):format(
      self.node, self.journal and " " .. self.journal or "")
  end
  return lines[1] and escape.text(table.concat(lines, "\n"))
end

--- How it ended, in words. A node that restarted has lost all its connections: nothing else matters as much.
function report:ending()
  if self.ok then return "done" end
  local failed = self.code == "interrupted" and "interrupted" or "failed"
  if not self.restarted then return self.completed and ("%s after %s ran to its end"):format(failed, self.completed) or failed end
  return ("failed, and %s RESTARTED: all connections that it had are gone"):format(self.node)
end

--- The report without its steps: how it ended, what was undone, how long processes were suspended, what is left.
-- @treturn string
function report:summary()
  local lines = { ("%s on %s%s: %s"):format(self.name or "a sequence", self.node,
    self.version and (" to " .. self.version) or "", self:ending()) }
  if self.would_suspend then
    lines[#lines + 1] = ("  dry run: nothing was touched; it would have suspended %s"):format(
      count.of(#self.would_suspend, "process"))
  end
  for _, undone in ipairs(self.undone) do lines[#lines + 1] = "  undone: " .. undone end
  local most, by_swaps = self.perhaps_suspended or self.suspended, 0
  for _, swap in ipairs(self.swap or {}) do by_swaps = by_swaps + (swap.processes or 0) end
  if most > 0 and not self.dry_run then
    lines[#lines + 1] = ("  %s %s%s"):format(count.of(most, "process"),
      self.perhaps_suspended and "may have been suspended" or "suspended",
      self.stood_still_ms and (", for %.1f ms"):format(self.stood_still_ms) or "")
  end
  if by_swaps > 0 then
    lines[#lines + 1] = ("  %s suspended by the swap%s"):format(count.of(by_swaps, "process"),
      most == 0 and self.stood_still_ms and (", for %.1f ms"):format(self.stood_still_ms) or "")
  end
  if self.stood_still then
    lines[#lines + 1] = ("  each paused for %.1f ms at most (median %.1f ms, p99 %.1f ms)"):format(
      self.stood_still.max, self.stood_still.p50, self.stood_still.p99)
  end
  if #self.lost > 0 then
    lines[#lines + 1] = ("  %s ended while suspended, as by a client that hung up: %s%s"):format(
      count.of(#self.lost, "process"), tostring(self.lost[1]), #self.lost > 1 and ", ..." or "")
  end
  if self.returns_to then
    lines[#lines + 1] = ("  %s is not permanent: a restart returns to %s. `make-permanent %s` keeps it"):format(self.version,
      self.returns_to, self.version)
  end
  if self.journal then lines[#lines + 1] = "  journal: " .. self.journal end
  lines[#lines + 1] = self:left_behind()
  return escape.text(table.concat(lines, "\n"))
end

function report:__tostring()
  local width = 0
  for _, step in ipairs(self.steps) do width = math.max(width, #step.name) end
  local lines = {}
  for i, step in ipairs(self.steps) do lines[i] = "\n" .. step_line(step, width) end
  local head, rest = self:summary():match "^([^\n]*)(.*)$"
  return head .. escape.text(table.concat(lines)) .. rest
end

return report
