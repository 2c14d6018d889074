--- What a journal still owes, on a node that can be asked: what has been undone or changed meanwhile is left as it is.
--
-- Asks the node, and undoes nothing.
--
-- @module edeliver.relup.undo.unsettled

local core = require "edeliver.relup.core"
local guard = require "edeliver.relup.undo.guard"
local journal = require "edeliver.relup.undo.journal"
local ledger = require "edeliver.relup.undo.ledger"
local shape = require "edeliver.relup.node.shape"
local term = require "edeliver.relup.term"

local unsettled = {}

local atom = term.atom
local PIDS = shape.list(shape.pid)

-- A journal is a file: what our own steps never journal is made only where the operator says so.
local function only_ours(path, undos)
  local strange = {}
  for _, entry in ipairs(undos) do
    if not entry.ours then strange[#strange + 1] = entry.shown end
  end
  if #strange == 0 then return true end
  return nil, ("%s owes what no step of ours journals: %s. Nothing was done; --force (the option `force`) makes %s"):format(
    path, table.concat(strange, ", "), #strange == 1 and "this call, too" or "these calls, too"), "not_ours"
end

-- Whether a text is that of a file that `file:consult` reads, with one term.
local function is_whole(text)
  local terms = require("edeliver.relup.consult").parse(text) -- only here: it takes a good part of a program's start
  return terms ~= nil and #terms == 1
end

-- Whether a relup on the node's disk is as a run leaves it that was cut off: with our steps in it, or written in part. One that
-- is neither that nor what it was before is somebody else's by now.
local function is_patched(node, undo, log)
  local path, before = undo[3][1], undo[3][2]
  local answer = node:call("file", "read_file", { path })
  local text = term.kind(answer) == "tuple" and answer[1] == atom "ok" and answer[2]
  if not text or text == before then return false end
  if not is_whole(text) or text:find(guard.NAME, 1, true) then return true end
  log("warning", ("%s has been changed since: it is left as it is"):format(term.text(path)))
  return false
end

-- Of what a run owed: what is left to be undone. After a restart that is only what is on the disk.
local function still_owed(node, undos, restarted, log)
  local left = {}
  for _, entry in ipairs(undos) do
    local owed = not restarted
    if ledger.is_durable(entry.undo) then owed = not entry.ours or is_patched(node, entry.undo, log) end
    if owed then left[#left + 1] = entry end
  end
  return left
end

--- What a journal still owes its node.
-- @param node
-- @string path of the journal
-- @tparam ?boolean force whether calls count, too, that no step of ours journals
-- @tparam function log of level and text
-- @return[1] `{ pids = a pid set, undos = list of { key =, undo = { module, fun, arguments }, shown = the call in words },
-- restarted = true where the node has been restarted since }`
-- @return[2] nil, message, code: "not_ours", "wrong_node", or those of `journal.read`
function unsettled.read(node, path, force, log)
  local state, message, code = journal.read(path)
  if not state then return nil, message, code end
  if not force then
    local fine
    fine, message, code = only_ours(path, state.undos)
    if not fine then return nil, message, code end
  end
  if state.node ~= node.name then
    return nil, ("%s is the journal of a run on %s, not on %s"):format(path, state.node, node.name), "wrong_node"
  end
  local creation, problem, why = node:call("erlang", "system_info", { atom "creation" })
  if creation == nil then return nil, problem, why end
  local restarted = creation ~= state.creation
  local undos = still_owed(node, state.undos, restarted, log)
  if restarted then
    log("info", ("%s has been restarted since: what was suspended has ended with it"):format(node.name))
    return { pids = core.pids {}, undos = undos, restarted = true }
  end
  local texts = {}
  for i, text in ipairs(state.pids) do texts[i] = term.charlist(text) end
  local pids
  pids, message, code = shape.expect(node, "erlang:list_to_pid", PIDS, node:map("erlang", "list_to_pid", texts, 30000))
  if not pids then return nil, message, code end
  return { pids = core.pids(pids), undos = undos }
end

return unsettled
