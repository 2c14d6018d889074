--- What specs of accidents share: a chat release with websockets, operators' programs that upgrade it, an observer on the node,
-- and what must be true afterwards.

local chat = require "support.chat"
local clients = require "support.clients"
local guard = require "edeliver.relup.undo.guard"
local observer = require "support.observer"
local process = require "support.process"
local proxy = require "support.proxy"
local relup = require "edeliver.relup"
local term = require "edeliver.relup.term"

local scene = {}
local methods = {}
scene.__index = methods
scene.__close = function(self) self:stop() end

local LISTENER = term.atom "Elixir.Chat.Endpoint.HTTP"

scene.GRACE = 300 -- ms, of operators that are not given another
scene.UNDOING = 10000 -- ms, for all that is undone, on a machine that is busy; the table says how long it was
scene.ACCEPTORS = 100 -- of the endpoint
scene.FIRST = "1.0.0"

-- Starting -------------------------------------------------------------------------------------------------------------

--- Starts the release with sockets, connects to it, and makes a folder for journals.
-- @tparam table options those of `chat.start`, and: `sockets` (how many), `unpack` (whether the `next` versions are unpacked,
-- default true)
function scene.start(options)
  local words, variable = observer.arguments()
  local self = setmetatable({
    options = options, sockets = options.sockets, folder = process.temporary_folder(), operators = 0,
  }, scene)
  local observed = self.folder .. "/observed"
  self.next = options.next or { "2.0.0" }
  self.release = chat.start(setmetatable({
    next = self.next, args = table.move(options.args or {}, 1, #(options.args or {}), #words + 1, words),
    env = { [variable] = observed },
  }, { __index = options }))
  self.observer = observer.new(observed)
  self:open_sockets()
  self.node = self:connect()
  self.creation = self:creation_now()
  if options.unpack ~= false then
    for _, version in ipairs(self.next) do
      assert(self.release:eval(("{ok, _} = release_handler:unpack_release(\"chat-%s\")"):format(version)))
    end
  end
  self.relup_first = self:relup()
  return self
end

--- Opens the sockets, anew where there were others.
function methods:open_sockets()
  if self.clients then self.clients:stop() end
  self.clients = clients.start()
  self.clients:open { port = self.release.ports.endpoint, count = self.sockets, interval = self.options.interval or 1000 }
end

--- A scene like this one that nothing has happened to: this one, where that is true.
function methods:fit()
  local checked, clean = pcall(function()
    local stats = self.clients:stats()
    return self:creation_now() == self.creation and self:is_clean() and stats.open == self.sockets and stats.reconnects == 0
      and self:relup() == self.relup_first
  end)
  if checked and clean then return self end
  self:stop()
  return scene.start(self.options)
end

--- A connection to the node.
function methods:connect()
  return self.release:connect()
end

--- Connects again, to a node that was started over.
function methods:connect_again()
  self.node:close()
  self.node = assert(process.wait_until(function()
    return relup.connect(self.release.name, { cookie = self.release.cookie, epmd_port = self.release.epmd_port })
  end, 15000), "the node does not come back")
  self.creation = self:creation_now()
end

--- A proxy to the node's distribution, the same for as long as the node lives: `between.port` is what an operator connects to.
function methods:between()
  if self.proxy and self.proxied == self.creation then return self.proxy end
  if self.proxy then self.proxy:stop() end
  self.proxied = self.creation
  self.proxy = proxy.start(assert(process.wait_until(function() return self.release:dist_port() end),
    "the node's port is not known"))
  return self.proxy
end

function methods:stop()
  if self.proxy then self.proxy:stop() end
  self.node:close()
  self.clients:stop()
  self.release:stop()
  process.remove_folder(self.folder)
end

-- Looking ----------------------------------------------------------------------------------------------------------------

--- The version that runs now, by the release handler's books.
function methods:current()
  local releases = assert(require("edeliver.relup.otp.release_handler").which_releases(self.node))
  local found
  for _, release in ipairs(releases) do
    if release.status == "current" or release.status == "permanent" and not found then found = release.version end
  end
  return found
end

--- The version that runs, and the one to go to: upgrades and downgrades take turns.
function methods:flip()
  local before = self:current()
  return before, before == self.next[1] and scene.FIRST or self.next[1]
end

--- What tells one life of the node from the next.
function methods:creation_now() return assert(self.node:call("erlang", "system_info", { term.atom "creation" })) end

--- From here on the observer's record counts.
function methods:mark() self.observer:mark(self.node) end

--- The text of the relup on the node's disk.
function methods:relup(version)
  return process.read_file(("%s/releases/%s/relup"):format(self.release.root, version or self.next[1]))
end

--- How many acceptors of the endpoint run.
function methods:acceptors()
  return chat.acceptors(self.node)
end

--- Whether nothing of an accident is left: nobody is suspended, all acceptors run, no guard is there. Else what is.
function methods:is_clean()
  local suspended, who = self.node:suspended(), guard.who(self.node)
  local acceptors = self:acceptors()
  if suspended and #suspended == 0 and who == false and acceptors == scene.ACCEPTORS then return true end
  return false, ("%s suspended, guard %s, %d acceptors"):format(suspended and #suspended, who and who.status, acceptors)
end

--- Waits until nothing of the accident is left, for `scene.UNDOING` at most; gives the ms that it took.
-- @tparam[opt=0] number first ms that go by before anything is undone: a grace period, a lease
function methods:wait_until_clean(first)
  local limit = (first or 0) + scene.UNDOING
  local started, missing = process.now(), nil
  local clean = process.wait_until(function()
    local is_clean, left = self:is_clean()
    missing = left
    return is_clean
  end, limit)
  assert(clean, ("not clean after %d ms: %s"):format(limit * process.patience, missing))
  return process.now() - started
end

--- The listener serves that version, and nobody has lost a socket.
function methods:check_served(version)
  -- A listener that was started anew may have another port.
  local port = assert(self.node:call("ranch", "get_port", { LISTENER }))
  local id = self.clients:get(port, "/")
  local body = self.clients:body(id, 5000) or "no answer"
  assert(body:find("^200 " .. version:gsub("%.", "%%.")), body)
  self.clients:hang_up()
  local stats = self.clients:stats()
  assert(stats.open == self.sockets, ("%d of %d sockets are open"):format(stats.open, self.sockets))
  assert(stats.reconnects == 0, stats.reconnects .. " sockets were lost")
  assert(stats.disorder == 0, "answers came in disorder")
end

--- Waits until the run's guard is gone, and with it all that it had to undo.
function methods:wait_until_guard_is_gone(limit)
  assert(process.wait_until(function() return guard.who(self.node) == false end, limit), "the guard is still there")
end

--- Waits until the swap has purged what was old, and is gone.
function methods:wait_until_swap_is_gone(limit)
  assert(process.wait_until(function()
    return self.node:call("erlang", "whereis", { term.atom "edeliver_relup_swap" }) == term.atom "undefined"
  end, limit), "the swap is still there")
end

--- Kills the guard.
function methods:kill_guard()
  local pid = self.node:call("erlang", "whereis", { term.atom(guard.NAME) })
  assert(term.kind(pid) == "pid", "there is no guard to be killed")
  assert(self.node:call("erlang", "exit", { pid, term.atom "kill" }))
end

--- Fills the node's process table for so many ms, or until `make_room`; it is full when this returns.
function methods:fill_process_table(ms)
  assert(self.node:call("chat_observer", "fill", { ms }) == term.atom "ok", "the process table is not full")
end

--- Ends that, by a message alone: a call would need a process.
function methods:make_room() assert(self.node:send("chat_filler", term.atom "leave")) end

--- Whether the node has ended by itself, without room for a process: OTP's net_kernel does, when it looks for another node then,
-- and its file server, when anybody opens a file.
function methods:gave_up()
  local printed = self.release:printed()
  return printed:find("Kernel pid terminated", 1, true) ~= nil
    and (printed:find("{id,net_kernel}", 1, true) or printed:find("{id,file_server_2}", 1, true)) ~= nil
end

--- Waits until it is not full any more; until the node has ended, where it does.
function methods:wait_until_there_is_room()
  process.wait_until(function()
    return not self.release:alive() or self.node:call("erlang", "whereis", { term.atom "chat_filler" }) == term.atom "undefined"
  end, 10000)
end

-- The matrix -------------------------------------------------------------------------------------------------------------

local rows = {}

--- Notes what an accident came to, for the table.
function scene.note(fault, position, outcome, ms)
  rows[#rows + 1] = { fault = fault, position = position, outcome = outcome, ms = ms }
end

--- Prints the table, and begins another.
function scene.print_table()
  print "\n\naccident                         after                outcome                clean after"
  for _, row in ipairs(rows) do
    print(("%-32s %-20s %-22s %6.0f ms"):format(row.fault, row.position, row.outcome, row.ms))
  end
  rows = {}
end

-- Operators --------------------------------------------------------------------------------------------------------------

local operator = {}
operator.__index = operator

local GIVEN = {
  "version", "fault", "after", "pass", "before", "mode", "port", "lease", "wait", "suspend_timeout", "target", "install_timeout",
  "patience", "document", "engine", "waits_at_the_end",
}

--- Starts an operator's program (support.operator says what it takes), by default one that flips the version; its process runs in
-- the background. Its `before` and `version` are what runs now, and what it goes to.
-- @tparam table options what it takes, and: `shell`, a command with `"$@"` in it that runs it, and `document = true` for a file
-- that `document()` reads
function methods:operate(options)
  self.operators = self.operators + 1
  local path = ("%s/%d"):format(self.folder, self.operators)
  -- What runs in the background of a shell has SIGINT ignored.
  local words = {
    "env", "--default-signal=INT,QUIT", "lua5.4", process.root .. "/spec/support/operator.lua", "node=" .. self.release.name,
    "cookie=" .. self.release.cookie, "epmd_port=" .. self.release.epmd_port, "grace=" .. (options.grace or scene.GRACE),
  }
  local before, other = self:flip()
  local started = setmetatable({
    journal = options.journal or path .. ".jsonl", before = before, version = options.version or other,
    path = options.document and path .. ".json",
  }, operator)
  local given = setmetatable({ document = started.path or false, version = started.version }, { __index = options })
  for _, name in ipairs(GIVEN) do
    if given[name] then words[#words + 1] = ("%s=%s"):format(name, given[name]) end
  end
  words[#words + 1] = "journal=" .. started.journal
  if options.shell then words = { "sh", "-c", options.shell, "sh", table.unpack(words) } end
  local env = { LUA_PATH = package.path, LUA_CPATH = package.cpath, USER = options.user or "ann", HOME = self.release.folder }
  started.process = process.start { command = words, env = env }
  return started
end

local function wait_for_text(self, text)
  local there = process.wait_until(function()
    return self.process:printed():find(text, 1, true) and "there" or self.process:exited() and "exited"
  end, 20000)
  assert(there == "there", ("the operator never said %q: %s"):format(text, self.process:printed()))
end

--- Waits until its program has been loaded and begins.
function operator:has_begun() wait_for_text(self, "begins\n") end

--- Waits until it is where the fault happens.
function operator:at_the_fault() wait_for_text(self, "at the fault") end

--- Lets one go that asks at the fault.
function operator:go() self.process:write "" end

--- Waits until it has printed a text; nil when it hasn't in time.
function operator:says(text)
  return process.wait_until(function() return self.process:printed():find(text, 1, true) end, 10000)
end

--- Waits until it has ended, and leaves all as it is.
function operator:ended(timeout)
  local status = process.wait_until(function() return self.process:exited() end, timeout or 30000)
  if status then return status end
  local printed = self.process:printed()
  self.process:stop()
  error("the operator hangs; it has printed: " .. printed)
end

--- Waits for its end: the exit status, and all that it has printed.
function operator:wait(timeout)
  local status = self:ended(timeout)
  local printed = self.process:printed()
  self.process:stop()
  return status, printed
end

--- What the command line's result was, as data: `exit`, `result`, `error`; nil where it never got there.
function operator:document()
  local text = process.read_file(self.path)
  return text and require("dkjson").decode(text)
end

--- What a person would take for a crash of ours in a text; nil where there is none.
function scene.traceback_in(text)
  return text:match "[^\n]*stack traceback:[^\n]*" or text:match "[^\n]*%.lua:%d+:[^\n]*" or text:match "[^\n]*attempt to [^\n]*"
    or text:match "[^\n]*runtime error:[^\n]*" or text:match "[^\n]*AddressSanitizer[^\n]*"
end

return scene
