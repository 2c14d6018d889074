-- embed.lua OUT ROOT=FOLDER...: writes a C file with every .lua and .erl file below the folders, each under its name below ROOT,
-- for main.c. ROOT may be empty. FOLDER may be a single file, then ROOT is its name.

local out = assert(io.open(arg[1], "wb"))

local ESCAPES = { ["\n"] = "\\n", ["\\"] = "\\\\", ['"'] = '\\"', ["\t"] = "\\t", ["\r"] = "\\r", ["?"] = "\\?" }

local function escaped(line)
  return (line:gsub('[%c\\"?\128-\255]', function(byte) return ESCAPES[byte] or ("\\%03o"):format(byte:byte()) end))
end

local function write(name, path)
  local file <close> = assert(io.open(path, "rb"))
  local text = file:read "a"
  out:write(('  {"%s",\n'):format(escaped(name)))
  for line in text:gmatch "[^\n]*\n?" do out:write('   "', escaped(line), '"\n') end
  out:write(("   , %d},\n"):format(#text))
end

local function quoted(path) return "'" .. path:gsub("'", "'\\''") .. "'" end

out:write '/* Written by embed.lua. */\n#include "embedded.h"\n\nconst edr_embedded_file edr_embedded[] = {\n'
for i = 2, #arg do
  local root, place = arg[i]:match "^([^=]*)=(.*)$"
  local list = assert(io.popen(("find -L %s -type f \\( -name '*.lua' -o -name '*.erl' \\) | LC_ALL=C sort"):format(quoted(place))))
  local found = 0
  for path in list:lines() do
    write(path == place and root or root .. path:sub(#place + 2), path)
    found = found + 1
  end
  assert(list:close() and found > 0, place .. ": no Lua file there")
end
out:write "  {0, 0, 0},\n};\n"
assert(out:close())
