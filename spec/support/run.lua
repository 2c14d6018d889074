-- lua5.4 spec/support/run.lua ARGUMENTS...: busted, on this interpreter, with these words. Its command starts the Lua of
-- .busted by way of a shell, and loses quotes on that way.

table.insert(arg, 1, "--ignore-lua")
require "busted.runner" { standalone = false }
