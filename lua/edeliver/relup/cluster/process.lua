--- A worker of a rollout, seen from its parent: a process of its own for one node, told what to do and heard by lines of JSON.
--
-- Its standard input is its life line: where that ends, it finishes what it is in the middle of, and ends. Secrets go through
-- it, never through arguments or the environment.
--
-- @classmod edeliver.relup.cluster.process

local dkjson = require "dkjson"
local own_file = require "edeliver.relup.base.own_file"
local uv = require "luv"

local process = {}
process.__index = process

local MAX_LINE = 16 << 20 -- bytes

-- What starts a Lua of the same kind as this one, with the worker.
local function command()
  if own_file.is_inside then return uv.exepath(), { "rollout-worker" } end
  local first = 0
  while arg and arg[first - 1] do first = first - 1 end
  local program = arg and first < 0 and arg[first] or "lua5.4"
  return program, { "-e", 'require "edeliver.relup.cluster.worker".main()' }
end

local function environment()
  local env = {}
  for name, value in pairs(uv.os_environ()) do
    if name ~= "LUA_PATH" and name ~= "LUA_CPATH" and not name:find "^LUA_C?PATH_5_4$" and name ~= "LUA_INIT" then
      env[#env + 1] = name .. "=" .. value
    end
  end
  env[#env + 1], env[#env + 2] = "LUA_PATH=" .. package.path, "LUA_CPATH=" .. package.cpath
  return env
end

-- Cuts what arrived into lines, and gives each as a table.
local function hear(self, data, on_event)
  self.rest = self.rest .. data
  if #self.rest > MAX_LINE then self.rest = "" end
  for line in self.rest:gmatch "([^\n]*)\n" do
    local event = dkjson.decode(line)
    if type(event) == "table" then on_event(event) end
  end
  self.rest = self.rest:match "[^\n]*$"
end

--- Starts a worker.
-- @tparam table first what it has to know, its first line
-- @tparam function on_event gets each of its events; at the end `{ event = "ended", code =, signal =, errors = what it said on
-- standard error }`
-- @return[1] process
-- @return[2] nil, message, "system"
function process.start(first, on_event)
  local self = setmetatable({ rest = "", errors = "" }, process)
  local input, output, errors = uv.new_pipe(), uv.new_pipe(), uv.new_pipe()
  local program, arguments = command()
  local open = 3 -- streams that have not ended, and the process
  local ended
  local function close()
    open = open - 1
    if open > 0 then return end
    if not input:is_closing() then input:close() end
    on_event { event = "ended", code = ended.code, signal = ended.signal, errors = self.errors }
  end
  local handle, pid = uv.spawn(program, {
    args = arguments, stdio = { input, output, errors }, env = environment(), detached = true,
  }, function(code, signal)
    ended = { code = code, signal = signal }
    self.handle:close()
    self.is_over = true
    close()
  end)
  if not handle then return nil, ("cannot start a worker (%s): %s"):format(program, tostring(pid)), "system" end
  self.handle, self.pid, self.input = handle, pid, input
  output:read_start(function(_, data)
    if data then return hear(self, data, on_event) end
    output:close()
    close()
  end)
  errors:read_start(function(_, data)
    if data then
      self.errors = (self.errors .. data):sub(-4000)
      return
    end
    errors:close()
    close()
  end)
  self:tell(first)
  return self
end

--- Tells it something.
function process:tell(message)
  if self.is_over or self.input:is_closing() then return end
  self.input:write(dkjson.encode(message) .. "\n")
end

--- Lets go of it: it ends what it is in the middle of, and then itself.
function process:leave()
  if not self.input:is_closing() then self.input:close() end
end

return process
