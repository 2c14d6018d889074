--- A file on the node that one call has written and another writes back: what is in it now, and so whether it is ours to write.
--
-- Reads it, and writes nothing.
--
-- @module edeliver.relup.undo.written_file

local shape = require "edeliver.relup.node.shape"
local term = require "edeliver.relup.term"

local written_file = {}

local atom = term.atom
local READ = shape.tuple(shape.is(atom "ok"), shape.binary)
local ABSENT = shape.tuple(shape.is(atom "error"), shape.either(shape.is(atom "enoent"), shape.is(atom "enotdir")))

--- Whether a call `{ module, fun, arguments }` writes a file.
function written_file.is_write(call) return call[1] == "file" and call[2] == "write_file" end

-- Whether a text is another, or the part of it that was written before something cut that off.
local function is_part(text, whole) return whole:sub(1, #text) == text end

--- What became of it.
-- @param node
-- @tparam table undo the call that writes it back
-- @tparam[opt] table act the call that wrote it; without one nothing counts as another's
-- @return "undone": it has the content that it is to have; "absent": it is not there; "changed": somebody else has written it
-- since; "ours": it has what we have written, or a part of that; or that cannot be seen
function written_file.look(node, undo, act)
  local answer = node:call("file", "read_file", { undo[3][1] })
  if ABSENT(answer) then return "absent" end
  if not READ(answer) then return "ours" end
  local text, before = answer[2], undo[3][2]
  if text == before then return "undone" end
  if not act or not written_file.is_write(act) or not shape.binary(before) then return "ours" end
  local after = act[3][2]
  if not shape.binary(after) or is_part(text, after) or is_part(text, before) then return "ours" end
  return "changed"
end

return written_file
