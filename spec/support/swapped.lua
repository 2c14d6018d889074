--- A node with modules and processes that have two versions, for the specs of swaps: no release, but RELEASES and libraries as
-- release_handler has them, and its engine.

local guard = require "edeliver.relup.undo.guard"
local node_of = require "support.node"
local process = require "support.process"
local swap = require "edeliver.relup.step.swap"
local term = require "edeliver.relup.term"

local swapped = {}
local methods = {}

local atom, tuple, list, charlist = term.atom, term.tuple, term.list, term.charlist

--- Starts the node, with version 1 of all modules loaded.
function swapped.start()
  local started = node_of.start { name = "swapped" }
  local sources, folder = process.root .. "/spec/support/swapped", started.folder
  for _, version in ipairs { "1", "2" } do
    local ebin = ("%s/lib/swapped-%s/ebin"):format(folder, version)
    assert(os.execute(("mkdir -p %s && erlc -DVSN=%s -o %s %s/*.erl"):format(ebin, version, ebin, sources)))
  end
  for _, version in ipairs { "1", "2" } do
    local app = assert(io.open(("%s/lib/swapped-%s/ebin/swapped.app"):format(folder, version), "w"))
    app:write(('{application,swapped,[{vsn,"%s"},{modules,[]},{registered,[]},{applications,[kernel,stdlib]},'
      .. '{mod,{swapped_trail,[]}}]}.\n'):format(version))
    app:close()
  end
  local file = assert(io.open(folder .. "/RELEASES", "w"))
  file:write((('[{release,"swapped","1","0",[{swapped,"1","LIB/swapped-1"},{swapped,"2","LIB/swapped-2"},'
    .. '{swapped_added,"1","LIB/swapped_added-1"}],permanent}].\n'):gsub("LIB", folder .. "/lib")))
  file:close()
  local node = started:connect()
  local self = setmetatable({ started = started, node = node, folder = folder }, { __index = methods })
  assert(started:eval(([=[os:putenv("RELDIR", %q), code:add_patha(%q), [{module, M} = code:ensure_loaded(M)
    || M <- [swapped_server, swapped_library, swapped_late, swapped_funs]] ]=]):format(folder, folder .. "/lib/swapped-1/ebin")))
  return self
end

--- Adds an application to what lies on the disk, and a stop that brings it.
function methods:bring_application(stop)
  local ebin = self.folder .. "/lib/swapped_added-1/ebin"
  assert(os.execute(("mkdir -p %s && erlc -o %s %s/spec/support/swapped/added/*.erl"):format(ebin, ebin, process.root)))
  local app = assert(io.open(ebin .. "/swapped_added.app", "w"))
  app:write('{application,swapped_added,[{vsn,"1"},{modules,[swapped_added]},{registered,[]},{applications,[kernel,stdlib]},'
    .. '{mod,{swapped_added,[]}}]}.\n')
  app:close()
  stop.load[#stop.load + 1] = { module = atom "swapped_added", application = atom "swapped_added", version = "1" }
  stop.starts = { { application = atom "swapped_added", version = "1", type = atom "temporary" } }
  return stop
end

--- Starts so many servers of a kind ("good", "fails", "crashes", "slow"): a pid set.
function methods:servers(kind, count)
  local bytes = assert(self.node:call("erlang", "term_to_binary", { assert(self.node:eval(
    "[begin {ok, P} = swapped_server:start(Kind), P end || _ <- lists:seq(1, Count)].", { Kind = atom(kind), Count = count },
    60000)) }))
  return assert(self.node:pids(bytes))
end

--- Starts the application, whose processes have a supervisor.
function methods:start_application()
  assert(self.node:eval "ok = application:start(swapped), ok.")
end

function methods:state(pid) return tostring(assert(self.node:call("gen_server", "call", { pid, atom "state" }))) end

function methods:version(name) return assert(self.node:call("swapped_" .. name, "version", {})) end

--- What script.fuse gives of a relup that leads to a version.
function methods.stop(_, version, mode, fields)
  local load = {}
  for i, name in ipairs(fields and fields.modules or { "server", "library" }) do
    load[i] = { module = atom("swapped_" .. name), application = atom "swapped", version = version }
  end
  local server = atom "swapped_server"
  return {
    id = 1, cancels = not (fields and fields.past), load = load, remove = fields and fields.remove or {}, suspend = { server },
    change = { { module = server, mode = mode, extra = list {} } },
  }
end

--- The stop that changes the supervisor of the application, and servers, too, where these are among the other modules.
function methods:tree_stop(version, mode, others)
  local stop = self:stop(version, "up", { modules = { "tree", table.unpack(others or {}) } })
  local tree, change = atom "swapped_tree", stop.change
  table.insert(stop.suspend, 1, tree)
  stop.change = { { module = tree, mode = mode, extra = list {} }, others and change[1] }
  return stop
end

--- The children of that supervisor, as text.
function methods:children()
  return term.format(assert(self.node:call("supervisor", "which_children", { atom "swapped_tree" })))
end

--- Prepares a swap, with a guard of its own.
-- @param stop one, or a list of them
-- @return[1] swap, guard
-- @return[2] nil, message, code
function methods:prepare(stop, options)
  local watched = assert(guard.start(self.node, options and options.guard))
  local given = { guard = watched.pid, token = watched.token, stops = stop.id and { stop } or stop }
  for name, value in pairs(options or {}) do
    if name ~= "guard" then given[name] = value end
  end
  local prepared, message, code = swap.prepare(self.node, given)
  if prepared then return prepared, watched end
  watched:leave()
  return nil, message, code
end

--- What the relup calls.
-- @return as `node:call`
function methods:call()
  local request = tuple { atom "swap", 1 }
  return self.node:call("gen_server", "call", { atom "edeliver_relup_swap", request, atom "infinity" }, 60000)
end

--- Prepares, arms, calls, lets go.
-- @return what the call gave, and the report
function methods:swap_only(stop, options)
  local prepared, watched, code = self:prepare(stop, options)
  if not prepared then return nil, watched, code end
  assert(prepared:arm(options and options.held or self.node:pids {}))
  local answer = table.pack(self:call())
  local report = assert(prepared:reports())[1]
  assert(prepared:leave())
  assert(watched:leave())
  return report, table.unpack(answer, 1, 4)
end

--- The whole of it: that, and what comes afterwards.
function methods:swap(stop, options)
  local result = table.pack(self:swap_only(stop, options))
  if result[1] then self:wait_until_gone() end
  return table.unpack(result, 1, result.n)
end

function methods:wait_until_gone()
  local gone = atom "undefined"
  return assert(process.wait_until(function()
    return self.node:call("erlang", "whereis", { atom "edeliver_relup_swap" }) == gone
  end, 10000), "the swap does not end")
end

function methods:path_of_the_application() return tostring(self.node:call("code", "lib_dir", { atom "swapped" })) end

function methods:stop_all()
  self.node:close()
  self.started:stop()
end

swapped.charlist = charlist

return swapped
