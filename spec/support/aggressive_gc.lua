-- A busted helper (tools/test gc): each collection begins as soon as the last has ended and works in big steps, so that
-- whatever is not held where it must be is gone at once. It takes the place of the helper that .busted names, so it loads that.

collectgarbage("incremental", 0, 1000, 8)
require "support.leak_check"
