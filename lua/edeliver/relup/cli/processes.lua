--- What is shown of a process: never its messages, never its state.
--
-- @module edeliver.relup.cli.processes

local output = require "edeliver.relup.cli.output"
local shape = require "edeliver.relup.node.shape"
local term = require "edeliver.relup.term"

local processes = {}

local ITEMS = { "registered_name", "current_function", "message_queue_len", "memory", "reductions" }

--- The columns of `as_rows`.
processes.HEADER = { "PID", "NAME OR INITIAL CALL", "CURRENT FUNCTION", "MAILBOX", "MEMORY", "REDUCTIONS" }

local MFA = shape.tuple(shape.any, shape.any, shape.any)

--- `{M,F,A}` in words, "" for what is none.
function processes.mfa(tuple)
  if not MFA(tuple) then return "" end
  return ("%s:%s/%s"):format(term.format(tuple[1]), term.format(tuple[2]), term.format(tuple[3]))
end

--- Looks at processes; the dead are left out.
-- @param node
-- @param pids a pid set or a list
-- @return[1] a list of `{ pid, name, initial_call, current_function, mailbox, memory, reductions }`
-- @return[2] nil, message, code
function processes.describe(node, pids)
  if #pids == 0 then return {} end
  local infos, message, code = node:process_info(pids, ITEMS)
  if not infos then return nil, message, code end
  local alive, rows = {}, {}
  for i, info in ipairs(infos) do
    if info then
      local name = info.registered_name
      alive[#alive + 1] = pids[i]
      rows[#rows + 1] = {
        pid = pids[i], name = term.kind(name) == "atom" and name.name or nil,
        current_function = processes.mfa(info.current_function),
        mailbox = info.message_queue_len, memory = info.memory, reductions = info.reductions,
      }
    end
  end
  local calls
  calls, message, code = node:map("proc_lib", "translate_initial_call", alive)
  if not calls then return nil, message, code end
  for i, call in ipairs(calls) do rows[i].initial_call = processes.mfa(call) end
  return rows
end

--- Those rows of a list that are wanted.
function processes.filter(rows, wanted)
  local found = {}
  for _, row in ipairs(rows) do
    if wanted(row) then found[#found + 1] = row end
  end
  return found
end

--- Those whose initial call, as proc_lib knows it, contains a text.
-- @tparam table rows with `pid`
-- @return[1] a list of rows
-- @return[2] nil, message, code
function processes.by_initial_call(node, rows, text)
  local pids = {}
  for i, row in ipairs(rows) do pids[i] = row.pid end
  local calls, message, code = node:map("proc_lib", "translate_initial_call", pids, 30000)
  if not calls then return nil, message, code end
  local found = {}
  for i, row in ipairs(rows) do
    if processes.mfa(calls[i]):find(text, 1, true) then found[#found + 1] = row end
  end
  return found
end

--- For people.
function processes.as_rows(rows)
  local shown = {}
  for i, row in ipairs(rows) do
    shown[i] = {
      tostring(row.pid), row.name or row.initial_call, row.current_function, row.mailbox, row.memory, row.reductions,
    }
  end
  return shown
end

--- For programs: the same, with the pid as text.
function processes.as_json(rows)
  local given = {}
  for i, row in ipairs(rows) do
    given[i] = {}
    for name, value in pairs(row) do given[i][name] = value end
    given[i].pid = tostring(row.pid)
  end
  return output.array(given)
end

return processes
