--- Runs the program as a person at a shell would: words in; what it printed, what it complained of, and its exit code out.

local process = require "support.process"

local program = {}

-- The Lua files and the module that these specs run on.
local function lua_paths()
  return ("LUA_PATH=%s LUA_CPATH=%s"):format(process.quote(package.path), process.quote(package.cpath))
end

--- A shell command line that runs the program.
-- @tparam table words its arguments
-- @tparam[opt] table options `node` (whose epmd and home folder it uses), `env`
function program.command(words, options)
  options = options or {}
  local env = {}
  if options.node then
    env.ERL_EPMD_PORT, env.HOME = options.node.epmd_port, options.node.folder
    env.XDG_STATE_HOME = options.node.folder .. "/state"
  end
  for name, value in pairs(options.env or {}) do env[name] = value end
  local parts = { "cd", process.quote(process.root), "&& exec env" }
  for name, value in pairs(env) do parts[#parts + 1] = process.quote(name .. "=" .. value) end
  parts[#parts + 1] = lua_paths()
  parts[#parts + 1] = "lua5.4 bin/edeliver-relup"
  for _, word in ipairs(words) do parts[#parts + 1] = process.quote(word) end
  return table.concat(parts, " ")
end

-- Words of a line as the shell splits simple ones: "NODE call lists seq 1 3"; NODE becomes the node's name.
local function split(line, node)
  local words = {}
  for word in line:gmatch "%S+" do words[#words + 1] = word == "NODE" and node and node.name or word end
  return words
end

--- Runs the program to its end.
-- @param line its arguments: a list of words, or a text to be split at blanks, where NODE stands for the node's name
-- @tparam[opt] table options as `command`, and `input`, what is typed (default: nothing)
-- @treturn table `out`, `err`, `code`
function program.run(line, options)
  options = options or {}
  local words = type(line) == "table" and line or split(line, options.node)
  local files = process.temporary_folder()
  local input = assert(io.open(files .. "/in", "w"))
  input:write(options.input or "")
  input:close()
  local _, _, code = os.execute(("( %s ) <%s/in >%s/out 2>%s/err"):format(program.command(words, options), files, files, files))
  local result = { code = code, out = process.read_file(files .. "/out"), err = process.read_file(files .. "/err") }
  process.remove_folder(files)
  return result
end

-- What docs/guides/command-line.md promises of a command: its row in the table.
local function documented(command)
  local text = process.read_file(process.root .. "/docs/guides/command-line.md")
  for row in text:gmatch "\n| (`[^\n]*)" do
    if row:match "^[^|]*":find("`" .. command .. "`", 1, true) then return row end
  end
  error(command .. " is not in docs/guides/command-line.md")
end

--- Runs it with --json and gives the document, too: `result.json`. Every field of it must be a documented one.
function program.json(line, options)
  local result = program.run(line .. " --json", options)
  local document, _, problem = require("dkjson").decode(result.out)
  assert(document, ("no JSON: %s\n%s\n%s"):format(tostring(problem), result.out, result.err))
  for field in pairs(document.result or {}) do
    assert(documented(document.command):find("`" .. field .. "`", 1, true), document.command .. ": no word about " .. field)
  end
  result.json = document
  return result
end

return program
