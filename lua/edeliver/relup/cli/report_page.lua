--- A report as one HTML page that needs nothing else: figures, a timeline of the steps, what was left behind.
--
-- Every text may come from a node, so every text is escaped. No script, nothing is loaded from anywhere.
--
-- @module edeliver.relup.cli.report_page

local core = require "edeliver.relup.core"
local count = require "edeliver.relup.base.count"
local output = require "edeliver.relup.cli.output"

local report_page = {}

local ENTITIES = { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;", ["'"] = "&#39;" }

--- Escapes a text for a page.
function report_page.escape(text) return (output.escape(text):gsub("[&<>\"']", ENTITIES)) end

local STYLE = [[
body { font: 15px/1.5 system-ui, sans-serif; max-width: 70em; margin: 2em auto; padding: 0 1em; color: #222; background: #fff }
h1 { font-size: 1.4em } h1 .ok { color: #1a7f37 } h1 .failed { color: #b42318 }
dl { display: grid; grid-template-columns: max-content auto; gap: .1em 1.5em } dt { color: #666 } dd { margin: 0 }
table { border-collapse: collapse; width: 100% } td, th { text-align: left; padding: .2em .8em .2em 0; vertical-align: top }
th { color: #666; font-weight: normal; border-bottom: 1px solid #ddd } td.ms { text-align: right; white-space: nowrap }
.time { width: 35% } .track { position: relative; height: 1em; margin-top: .3em; background: #f2f2f2 }
.axis { display: flex; justify-content: space-between; font-size: .85em }
.bar { position: absolute; top: 0; bottom: 0; min-width: 2px; background: #6b9bd1 } .failed .bar { background: #d1626b }
.still .bar { background: #e3c878 } .failed td { color: #b42318 } pre { white-space: pre-wrap; color: #b42318 }
@media (max-width: 45em) {
  dl { grid-template-columns: auto } dd { margin: 0 0 .4em; overflow-wrap: anywhere }
  table, tbody, thead, tr, td, th { display: block } th { display: none } th.time { display: block } .time { width: auto }
  tr { padding: .4em 0; border-bottom: 1px solid #ddd } td { padding: 0; overflow-wrap: anywhere } td.ms { text-align: left }
}
@media (prefers-color-scheme: dark) {
  body { color: #ddd; background: #1b1b1b } .track { background: #2a2a2a } dt, th { color: #aaa } th, tr { border-color: #444 }
  h1 .ok { color: #4cc36b } h1 .failed, .failed td, pre { color: #ff8f85 }
}
]]

-- "12.3 ms", "4.5 s"
local function time(ms) return ms < 1000 and ("%.1f ms"):format(ms) or ("%.1f s"):format(ms / 1000) end

local function bar(at, ms, total)
  return ('<div class="track"><div class="bar" style="left:%.3f%%;width:%.3f%%"></div></div>'):format(
    at / total * 100, ms / total * 100)
end

-- When the bars begin and end: four moments, from the beginning to the end.
local function axis(total)
  local marks = {}
  for i = 0, 3 do marks[i + 1] = ("<span>%s</span>"):format(time(total * i / 3)) end
  return ('<div class="axis">%s</div>'):format(table.concat(marks))
end

local function figure(list, name, text)
  if text then list[#list + 1] = ("<dt>%s</dt><dd>%s</dd>"):format(name, report_page.escape(text)) end
end

-- What the swaps of a run took, by part.
local function split(report)
  local words = {}
  for _, part in ipairs { "suspend", "load", "change", "children", "resume" } do
    local sum = 0
    for _, swap in ipairs(report.swap or {}) do sum = sum + (swap[part] or 0) end
    if sum > 0 then words[#words + 1] = ("%s %s"):format(part, time(sum)) end
  end
  return #words > 0 and table.concat(words, ", ") or nil
end

-- What the node starts with from now on.
local function permanence(report)
  if report.returns_to then return ("no: a restart returns to %s"):format(report.returns_to) end
  return report.ok and report.from and not report.dry_run and "yes" or nil
end

-- How long all steps took, in ms.
local function total_of(rows)
  local total = 0
  for _, entry in ipairs(rows) do total = math.max(total, (entry.at or 0) + (entry.ms or 0)) end
  return total
end

local function figures(report)
  local most = report.perhaps_suspended or report.suspended
  local perhaps = report.perhaps_suspended and "perhaps " or ""
  local still = report.stood_still
  return {
    { "node", report.node }, { "application", report.name },
    { "version", report.from and report.version and ("%s → %s"):format(report.from, report.version) or report.version },
    { "began", report.at and os.date("!%Y-%m-%d %H:%M:%S UTC", report.at) },
    { "suspended", most > 0 and perhaps .. count.of(most, "process") or "none" },
    { "each paused for", still and ("%.1f ms at most (median %.1f ms, p99 %.1f ms)"):format(still.max, still.p50, still.p99) },
    { "lost", #report.lost > 0 and ("%s ended while suspended: %s"):format(count.of(#report.lost, "process"),
      report_page.first(report.lost, 20)) or "none" },
    { "the swap", split(report) }, { "stays", permanence(report) }, { "took", time(total_of(report.steps)) },
    { "journal", report.journal },
  }
end

--- The first of some things, as text.
function report_page.first(items, most)
  local shown = {}
  for i = 1, math.min(#items, most) do shown[i] = tostring(items[i]) end
  return table.concat(shown, ", ") .. (#items > most and ", ..." or "")
end

local function entries(report)
  local found = {}
  for i, step in ipairs(report.steps) do
    found[i] = {
      name = step.name, ok = step.status == "done", at = step.at, ms = step.ms,
      text = step.message or type(step.result) == "string" and step.result or nil,
    }
  end
  return found
end

local PAGE = [[
<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>%s</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<style>
%s</style></head><body>
<h1>%s <span class="%s">%s</span></h1>
<dl>
%s
</dl>
<table id="steps"><thead><tr><th>%s</th><th></th><th class="time">%s</th><th>result</th></tr></thead><tbody>
%s
</tbody></table>
%s
</body></html>
]]

--- A page of a run or of a rollout.
-- @string title
-- @tparam boolean ok
-- @string ending in a word or two
-- @tparam table facts a list of `{ name, text or nil }`
-- @string what each row is of: "step", "node"
-- @tparam table rows a list of `{ name =, ok =, at = ms, ms =, text = }`
-- @tparam table after pieces of HTML
-- @treturn string
function report_page.document(title, ok, ending, facts, what, rows, after)
  local list, lines, total = {}, {}, math.max(1, total_of(rows))
  for _, pair in ipairs(facts) do figure(list, pair[1], pair[2]) end
  for i, entry in ipairs(rows) do
    lines[i] = ('<tr class="%s"><td>%s</td><td class="ms">%.1f ms</td><td class="time">%s</td><td>%s</td></tr>'):format(
      entry.ok and "done" or "failed", report_page.escape(entry.name), entry.ms or 0,
      bar(entry.at or 0, entry.ms or 0, total), report_page.escape(entry.text or ""))
  end
  title = report_page.escape(title)
  return PAGE:format(title, STYLE, title, ok and "ok" or "failed", report_page.escape(ending), table.concat(list, "\n"), what,
    axis(total),
    table.concat(lines, "\n"), table.concat(after, "\n"))
end

--- The page.
-- @param report
-- @treturn string
function report_page.page(report)
  local title = ("%s on %s%s"):format(report.name or "a sequence", report.node, report.version and " to " .. report.version or "")
  local after = {}
  if #report.undone > 0 then
    local items = {}
    for i, undone in ipairs(report.undone) do items[i] = "<li>" .. report_page.escape(undone) .. "</li>" end
    after[1] = "<h2>Undone</h2><ul>" .. table.concat(items) .. "</ul>"
  end
  if report.message then after[#after + 1] = "<pre>" .. report_page.escape(report.message) .. "</pre>" end
  local left = report:left_behind()
  if left then after[#after + 1] = '<pre id="left">' .. report_page.escape(left) .. "</pre>" end
  return report_page.document(title, report.ok, report:ending(), figures(report), "step", entries(report), after)
end

local function put(path, text, mode)
  local file, message = core.open_private(path, mode)
  if not file then return nil, message end
  local written, problem = file:write(text)
  local closed, why = file:close()
  if written and closed then return true end
  return nil, problem or why
end

--- Whether a page can be written, found out before there is something to report.
-- @tparam ?string path
-- @return[1] true, also where no page is wanted
-- @return[2] nil, message
function report_page.is_writable(path)
  if not path then return true end
  return put(path, " ", "a")
end

--- Writes a page, in the place of what is there.
-- @string path
-- @string text
-- @return[1] true
-- @return[2] nil, message
function report_page.write(path, text) return put(path, text, "w") end

return report_page
