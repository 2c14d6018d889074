--- Erlang modules of the specs, compiled once into build/, and again when their sources have changed.

local built = require "support.built"
local process = require "support.process"

--- Compiles the modules in a folder of spec/support.
-- @string name of the folder
-- @treturn string the folder with the .beam files
return function(name)
  local sources = process.quote(("%s/spec/support/%s"):format(process.root, name)) .. "/*.erl"
  return built(name, "cat " .. sources, 'erlc -Wall -Werror -o "$OUT" ' .. sources)
end
