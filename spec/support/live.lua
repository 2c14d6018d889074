--- A chat release with a connection to it: what the specs of instructions and web servers begin with. Runs steps one at a time,
-- in a context that a spec can look into.

local chat = require "support.chat"
local process = require "support.process"

local live = {}
local methods = {}

--- Starts the release and connects.
-- @tparam[opt] table options as `chat.start` takes them
-- @return an object with `release`, `node`, `ports` and the methods below
function live.start(options)
  local release = chat.start(options)
  local node = release:connect()
  return setmetatable({ release = release, node = node, ports = release.ports }, {
    __index = methods, __close = function(self) self:stop() end,
  })
end

--- A context as a sequence would give it to steps; what was logged is in its `lines`.
-- @tparam[opt] table config
-- @string[opt="chat"] name of the application
function methods:context(config, name)
  local lines = {}
  local ctx = require("edeliver.relup.step.context").new {
    node = self.node, name = name or "chat", config = config or {},
    logger = function(level, text) lines[#lines + 1] = level .. ": " .. text end,
  }
  ctx.lines = lines
  return ctx
end

--- Runs an instruction in a context.
function methods:run(name, ctx, argument)
  local step = require("edeliver.relup.instructions." .. name)
  return step.run(self.node, argument or require("edeliver.relup.term").atom "chat", ctx)
end

--- Runs an instruction in a context of its own.
-- @return the context, and what the instruction gave
function methods:try(name, config)
  local ctx = self:context(config)
  return ctx, self:run(name, ctx)
end

--- Undoes whatever a spec has left to be undone.
function methods.settle(_, ctx) -- luacheck: ignore self
  return ctx.ledger:settle()
end

--- Runs a function as if by hand in a REPL; what it prints comes back before what it gave.
function live.by_hand(run, ...)
  local printed, print_before = {}, print
  rawset(_G, "print", function(text) printed[#printed + 1] = text end)
  local result = table.pack(pcall(run, ...))
  rawset(_G, "print", print_before)
  assert(result[1], result[2])
  return table.concat(printed, "\n"), table.unpack(result, 2, result.n)
end

--- Holds processes so that they answer nothing, until the object that this gives is closed.
function methods:hold(pids)
  local text = {}
  for i, pid in ipairs(pids) do text[i] = ("list_to_pid(\"%s\")"):format(tostring(pid)) end
  local holder = assert(self.release:eval(("Pids = [%s], Me = self(), Holder = spawn(fun() -> " ..
    "[erlang:suspend_process(P) || P <- Pids], Me ! held, receive go -> ok end end), receive held -> Holder end")
    :format(table.concat(text, ","))))
  return setmetatable({}, { __close = function()
    self.release:eval(("exit(list_to_pid(\"%s\"), kill)"):format(holder))
  end })
end

--- Links processes to one on another node, as a process of a cluster may well be.
-- @return that node, to be stopped
function methods:linked_from_elsewhere(pids)
  local other = require("support.node").start { cookie = self.release.cookie }
  local text = {}
  for i, pid in ipairs(pids) do text[i] = ("%q"):format(tostring(pid)) end
  assert(other:eval(([=[pong = net_adm:ping('%s'), Me = self(),
    spawn(fun() -> [link(rpc:call('%s', erlang, list_to_pid, [P])) || P <- [%s]], Me ! linked, timer:sleep(infinity) end),
    receive linked -> ok end]=]):format(self.release.name, self.release.name, table.concat(text, ","))))
  live.eventually(function()
    for _, info in ipairs(self.node:process_info(pids, { "links" })) do
      local found
      for _, link in ipairs(info.links) do found = found or not self.node:owns(link) end
      if not found then return false end
    end
    return true
  end)
  return other
end

--- Waits until a function gives something true.
function live.eventually(condition) return assert(process.wait_until(condition, 5000)) end

function methods:stop()
  self.node:close()
  self.release:stop()
end

return live
