--- What the specs of a block share: made before the first of them, stopped behind the last.
--
--     local chat = shared(live.start, { ranch = 1 })
--
-- It may be used from `setup` on as if it were what the function has given.

local busted = require "busted"

-- @tparam function start makes it; the other arguments are this function's. What it gives has a method `stop`
return function(start, ...)
  local arguments, value = table.pack(...), nil
  busted.setup(function() value = start(table.unpack(arguments, 1, arguments.n)) end)
  busted.teardown(function() if value then value:stop() end end)
  return setmetatable({}, {
    __index = function(_, name) return value[name] end,
    __newindex = function(_, name, field) value[name] = field end,
  })
end
