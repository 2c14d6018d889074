--- The chat release (spec/support/chat): built once into build/chat, started as a real release out of a folder of its own, so
-- that one install disturbs no other. Two versions of ranch: 2, and 1 where tools/setup could get it.

local built = require "support.built"
local process = require "support.process"
local node = require "support.node"
local term = require "edeliver.relup.term"

local chat = {}
local methods = setmetatable({}, { __index = node.methods })

local function libraries(ranch)
  return ("%s/build/erlang/ranch%d"):format(process.root, ranch)
end

--- Whether the chat release can be built with this major version of ranch; specs are pending where it can't.
function chat.available(ranch)
  return process.output(("ls -d %s/ranch-* 2>/dev/null"):format(process.quote(libraries(ranch)))) ~= ""
end

--- The folder with the built release: `root`, and `chat-VERSION.tar.gz` for each later version. Built again when its sources
-- have changed; takes 4 s then, nothing otherwise.
-- @tparam[opt=2] integer ranch
function chat.built(ranch)
  ranch = ranch or 2
  assert(chat.available(ranch), "cowboy and ranch are missing: run tools/setup")
  local sources = process.quote(process.root .. "/spec/support/chat")
  return built("chat-ranch" .. ranch, ("cat %s/build.escript %s/src/*.erl"):format(sources, sources),
    ('escript %s/build.escript %s/src %s "$OUT"'):format(sources, sources, process.quote(libraries(ranch))))
end

local function emulator_folder()
  return (process.output("erl -noshell -boot start_clean -eval "
    .. [['io:format("~s/erts-~s/bin", [code:root_dir(), erlang:system_info(version)]), halt().']]))
end

local function read_ports(text)
  local ports = {}
  for name, port in text:gmatch "(%w+) (%d+)" do ports[name] = tonumber(port) end
  return ports
end

--- How many acceptors of the endpoint run.
-- @param connection to a release
function chat.acceptors(connection)
  local atom, running = term.atom, 0
  for _, pid in ipairs(connection:call("ranch", "procs", { atom "Elixir.Chat.Endpoint.HTTP", atom "acceptors" }) or {}) do
    running = running + (term.kind(pid) == "pid" and 1 or 0)
  end
  return running
end

--- Starts version 1.0.0 and waits until it listens.
-- @tparam[opt] table options those of `node.start` that make sense here, and: `ranch` (2 or 1, default 2); `next`, the list of
-- the versions whose tarballs lie in releases/ (default `{ "2.0.0" }`; in "2.1.0" the release handler suspends the channels;
-- "2.0.1-early" and "2.0.1-late" fail before and after the point of no return); `without`, files of the release that are missing
-- @return a node object (see support.node), with `root` (the release's folder) and `ports`: `endpoint` (channels), `plain`
-- (connections typed supervisor), `workers` (plain, connections typed worker)
function chat.start(options)
  options = options or {}
  local from = chat.built(options.ranch)
  local env, arguments, self = node.prepare(setmetatable({ name = options.name or "chat" }, { __index = options }))
  self.root = self.folder .. "/chat"
  local tarballs = {}
  for _, version in ipairs(options.next or { "2.0.0" }) do
    tarballs[#tarballs + 1] = process.quote(("%s/chat-%s.tar.gz"):format(from, version))
  end
  local copied = ("cp -r %s/root %s"):format(process.quote(from), process.quote(self.root))
  if #tarballs > 0 then
    copied = ("%s && cp %s %s/releases"):format(copied, table.concat(tarballs, " "), process.quote(self.root))
  end
  assert(os.execute(copied))
  for _, name in ipairs(options.without or {}) do assert(os.remove(self.root .. "/" .. name)) end
  chat.emulator = chat.emulator or emulator_folder()
  env.BINDIR = chat.emulator
  env.CHAT_PORTS = self.folder .. "/ports"
  local command = { process.root .. "/spec/support/chat/run.sh", self.root }
  table.move(arguments, 1, #arguments, #command + 1, command)
  table.move(options.args or {}, 1, #(options.args or {}), #command + 1, command)
  for name, value in pairs(options.env or {}) do env[name] = value end
  self.command, self.env, self.earlier = command, env, {}
  node.adopt(self, process.start { command = command, env = env, folder = self.folder })
  local metatable = getmetatable(self)
  setmetatable(self, { __index = methods, __close = metatable.__close, __gc = metatable.__gc })
  self.ports = read_ports(self:wait_for(env.CHAT_PORTS))
  return self
end

--- Starts it once more, out of the same folder, after it was killed: the release that is permanent there.
function methods:start_again()
  assert(process.wait_until(function() return not self:alive() end), "the node still runs")
  table.insert(self.earlier, self.process)
  os.remove(self.env.CHAT_PORTS)
  self.process = process.start { command = self.command, env = self.env }
  self.ports = read_ports(self:wait_for(self.env.CHAT_PORTS))
end

function methods:stop()
  node.methods.stop(self)
  for _, earlier in ipairs(self.earlier) do earlier:stop() end
end

--- The ports now: they change when the node starts over, which it does in the same process.
function methods:current_ports()
  self.ports = read_ports(process.read_file(self.folder .. "/ports"))
  return self.ports
end

--- The releases that the node's release handler knows, e.g. `{ ["1.0.0"] = "permanent" }`.
function methods:releases()
  local found = {}
  local text = assert(self:eval "[{V, S} || {\"chat\", V, _, S} <- release_handler:which_releases()]")
  for version, status in text:gmatch '{"([^"]*)",(%w+)}' do found[version] = status end
  return found
end

--- The version that the application controller gives the chat application. OTP names the new one already when an install has
-- failed before the point of no return, so `GET /` is the better witness of which code runs.
function methods:version()
  return (assert(self:eval "element(2, application:get_key(chat, vsn))"):match '^"(.*)"$')
end

--- Upgrades by hand, through the node's own release handler, with nothing suspended: what it answered, as text.
function methods:install(version)
  return self:eval(([[
    case lists:keymember("%s", 2, release_handler:which_releases()) of
      true -> ok;
      false -> {ok, _} = release_handler:unpack_release("chat-%s")
    end,
    release_handler:install_release("%s")]]):format(version, version, version))
end

return chat
