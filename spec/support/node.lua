--- Real Erlang nodes for specs: each with a cookie of its own, on an epmd that is ours too and listens on loopback.
-- What it asks of a node it asks by Erlang's own `erl_call`, never by the module under test.

local process = require "support.process"

local node = {}
local methods = {}
node.methods = methods
local metatable = { __index = methods, __close = function(self) self:stop() end, __gc = function(self) self:stop() end }

local count = 0
local shared_epmd

math.randomseed(os.time(), tonumber(tostring({}):match "0x(%x+)", 16))

--- Starts an epmd on a free port: an object with `port` and `stop`. The port is below the range that systems hand out by chance.
function node.start_epmd()
  for _ = 1, 20 do
    local port = math.random(20000, 32000)
    local epmd = process.start { command = { "epmd", "-port", port, "-address", "127.0.0.1" } }
    local answers = process.wait_until(function()
      if epmd:exited() then return "exited" end
      return select(2, process.output(("epmd -port %d -names 2>&1"):format(port))) and "up"
    end)
    -- Another's epmd may be the one that answers, while ours has found the port taken and is on its way out.
    process.sleep(50)
    if answers == "up" and not epmd:exited() then
      epmd.port = port
      return epmd
    end
    epmd:stop()
  end
  error "no epmd could be started"
end

--- The epmd port of the nodes that do not ask for one of their own.
function node.epmd_port()
  shared_epmd = shared_epmd or node.start_epmd()
  return shared_epmd.port
end

--- The environment and the arguments that every node of ours is started with.
-- @return environment, list of arguments, and the object to be handed to `node.adopt`
function node.prepare(options)
  count = count + 1
  local host = options.short and process.output("hostname -s"):gsub("%s", "") or "127.0.0.1"
  local self = {
    folder = process.temporary_folder(),
    name = options.full_name or ("%s%d@%s"):format(options.name or "edr_test", count, host),
    cookie = options.cookie or ("cookie%d"):format(math.random(1 << 40)),
    epmd_port = options.epmd_port or node.epmd_port(),
  }
  -- For whoever looks for the cookie where users have it, with HOME set to this folder.
  local cookie_file = assert(io.open(self.folder .. "/.erlang.cookie", "w"))
  cookie_file:write(self.cookie)
  cookie_file:close()
  os.execute("chmod 400 " .. process.quote(self.folder .. "/.erlang.cookie"))
  local env = { ERL_EPMD_PORT = self.epmd_port, HOME = self.folder, ERL_CRASH_DUMP = "/dev/null" }
  local arguments = {
    options.short and "-sname" or "-name", self.name, "-setcookie", self.cookie, "-noshell", "-noinput",
    "-kernel", "inet_dist_use_interface", options.interface or "{127,0,0,1}",
  }
  return env, arguments, self
end

--- Makes a started process and what `prepare` gave one node object.
function node.adopt(self, started)
  self.process = started
  return setmetatable(self, metatable)
end

--- Starts a plain node and waits until it answers.
-- @tparam[opt] table options `name` (before the @, a number follows), `full_name` (as it is), `cookie`, `interface` (loopback's
-- address as Erlang text), `epmd_port`, `short` (short names), `args` (more arguments to
-- erl), `env`, `eval` (Erlang expressions that it runs first)
-- @return an object with `name`, `cookie`, `epmd_port`, `folder` (which has a `.erlang.cookie` too) and the methods below
function node.start(options)
  options = options or {}
  local env, arguments, self = node.prepare(options)
  local command = { "erl", "-boot", "start_clean" }
  table.move(arguments, 1, #arguments, #command + 1, command)
  table.move(options.args or {}, 1, #(options.args or {}), #command + 1, command)
  local eval = (options.eval or "ok"):gsub("%.%s*$", "")
  command[#command + 1] = "-eval"
  command[#command + 1] = eval .. (", ok = file:write_file(\"%s/ready\", <<>>)."):format(self.folder)
  for name, value in pairs(options.env or {}) do env[name] = value end
  node.adopt(self, process.start { command = command, env = env, folder = self.folder })
  self:wait_for(self.folder .. "/ready")
  return self
end

--- Waits for a file that the node writes when it is ready; raises with what the node printed otherwise.
function methods:wait_for(path, timeout)
  local ready = process.wait_until(function()
    if self.process:exited() then return nil end
    return process.read_file(path)
  end, timeout or 15000)
  if not ready then
    local printed = self.process:printed()
    self:stop()
    error(("the node %s did not start:\n%s"):format(self.name, printed), 2)
  end
  return ready
end

--- A connection of ours to it.
-- @tparam[opt] table options more of those that `relup.connect` takes
function methods:connect(options)
  local given = { cookie = self.cookie, epmd_port = self.epmd_port }
  for name, value in pairs(options or {}) do given[name] = value end
  return assert(require("edeliver.relup").connect(self.name, given))
end

--- The VM's process id.
function methods:pid() return self.process:pid() end

--- Whether the VM is still there.
function methods:alive() return self.process:exited() == nil end

--- Sends the VM a signal, by name.
function methods:signal(name) return self.process:signal(name) end

--- What the node has printed so far.
function methods:printed() return self.process:printed() end

--- A shell command line that runs `words` as an operator of this node would: epmd and cookie are found without being named.
function methods:operator_command(words)
  local quoted = {}
  for i, word in ipairs(words) do quoted[i] = process.quote(word) end
  return ("env ERL_EPMD_PORT=%d HOME=%s %s"):format(self.epmd_port, process.quote(self.folder), table.concat(quoted, " "))
end

--- How many of its processes sit suspended by `sys` now.
function methods:suspended()
  return tonumber(assert(self:eval [[
    length([P || P <- processes(), {current_function, {sys, F, _}} <- [process_info(P, current_function)],
                 F =:= suspend_loop orelse F =:= suspend_loop_hib]) ]]))
end

--- Evaluates Erlang expressions on the node and gives the value as text, on one line, as `~0tp` prints it; or nil and
-- what went wrong.
function methods:eval(expressions)
  local folder, value = process.quote(self.folder), self.folder .. "/value"
  local file = assert(io.open(self.folder .. "/eval", "w"))
  -- The value comes in a file: erl_call prints terms in its own way.
  file:write(("Text__ = try begin %s end of V__ -> [\"value \", io_lib:format(\"~0tp\", [V__])] "):format(
    (expressions:gsub("%.%s*$", ""))), "catch C__:R__ -> io_lib:format(\"~0tp~n\", [{C__, R__}]) end, ",
    ("file:write_file(%q, unicode:characters_to_binary(Text__)).\n"):format(value))
  file:close()
  os.remove(value)
  local command = ("ERL_EPMD_PORT=%d HOME=%s erl_call -r %s %s -c %s -e < %s/eval 2>&1"):format(
    self.epmd_port, folder, self.name:find("@127.0.0.1", 1, true) and "-name" or "-sname",
    process.quote(self.name), process.quote(self.cookie), folder)
  local printed
  for _ = 1, 5 do
    printed = process.output(command)
    -- On a busy machine it gives up before a node that is there has answered; nothing was evaluated then.
    if not (printed:find("failed to connect to node", 1, true) and self:alive()) then break end
  end
  local text = process.read_file(value)
  local answer = text and text:match "^value (.*)$"
  if answer then return answer end
  return nil, text or printed
end

--- The port that it takes distribution connections on; nil while it is registered nowhere.
function methods:dist_port()
  return tonumber(self:eval [[
    [Name, Host] = string:split(atom_to_list(node()), "@"), {port, Port, _} = erl_epmd:port_please(Name, Host), Port]])
end

--- Ends the VM, waits until it is gone, removes its folder. May be called twice.
function methods:stop()
  if self.process then self.process:stop() end
end

return node
