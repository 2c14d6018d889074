--- Who has funs of a module's code: the shape of what erlang/old_funs.erl finds, and its words.
--
-- @module edeliver.relup.node.holders

local shape = require "edeliver.relup.node.shape"
local term = require "edeliver.relup.term"

local holders = {}

--- `{process, Pid}`, `{table, Name}` or `{persistent_term, Key}`.
holders.holder = shape.tuple(shape.atom, shape.any)

--- A list of them.
holders.shape = shape.list(holders.holder)

--- Those that have them, in words: at most three by name.
function holders.in_words(found)
  local words = {}
  for i = 1, math.min(#found, 3) do
    local kind, what = found[i][1].name, found[i][2]
    words[i] = kind == "process" and tostring(what) or ("the %s %s"):format(kind, term.format(what))
  end
  local more = #found > 3 and (" and %d more"):format(#found - 3) or ""
  return #found == 0 and "something that cannot be found from outside" or table.concat(words, ", ") .. more
end

return holders
