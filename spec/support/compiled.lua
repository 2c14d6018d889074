--- Erlang modules of the specs, compiled once into build/, and again when their sources have changed.

local process = require "support.process"

--- Compiles the modules in a folder of spec/support.
-- @string name of the folder
-- @treturn string the folder with the .beam files
return function(name)
  local source = ("%s/spec/support/%s"):format(process.root, name)
  local sum = process.output(("cat %s/*.erl | cksum | tr -d ' \n'"):format(process.quote(source)))
  local out = ("%s/build/%s/%s"):format(process.root, name, sum)
  if not process.output(("ls %s/*.beam 2>/dev/null"):format(process.quote(out))):find "%S" then
    local made = ("%s.%d"):format(out, math.random(1 << 40))
    local printed, succeeded = process.output(("mkdir -p '%s' && erlc -Wall -Werror -o '%s' '%s'/*.erl 2>&1"):format(
      made, made, source))
    -- Two programs may compile at once: the first to finish has the name.
    if succeeded then os.execute(("mv -T '%s' '%s' 2>/dev/null || rm -rf '%s'"):format(made, out, made)) end
    assert(succeeded, printed)
  end
  return out
end
