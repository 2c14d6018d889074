--- What specs need and somebody has to build: once, into build/, and again when what it is made of has changed.

local process = require "support.process"

local quote = process.quote

--- A folder with something built. Several programs may want it at once: one builds, the others wait.
-- @string name of the folder, which gets a sum behind it
-- @string made_of shell words that print all that it is made of
-- @string words shell words that build it into the folder $OUT
-- @treturn string the path
return function(name, made_of, words)
  local sum = process.output(("{ %s; } 2>&1 | cksum | tr -d ' \n'"):format(made_of))
  local out = ("%s/build/%s-%s"):format(process.root, name, sum)
  if os.execute("test -d " .. quote(out)) then return out end
  local once = ('[ -d "$0" ] || { export OUT=$0.new; rm -rf "$OUT" && mkdir -p "$OUT" && %s && mv "$OUT" "$0"; }'):format(words)
  local printed, succeeded = process.output(("mkdir -p %s && flock %s sh -c %s %s 2>&1"):format(
    quote(process.root .. "/build"), quote(out .. ".lock"), quote(once), quote(out)))
  assert(succeeded, printed)
  return out
end
