--- Cowboy 2's connections, seen from outside: which requests run on them, and how a release can be installed while those that
-- their parent types `supervisor` are suspended.
--
-- Only reads `links` and the like: an http connection is never asked anything.
--
-- @module edeliver.relup.web.servers.cowboy

local shape = require "edeliver.relup.node.shape"
local supervisor = require "edeliver.relup.otp.supervisor"
local term = require "edeliver.relup.term"

local cowboy = {}

local atom, tuple = term.atom, term.tuple

--- The protocols whose connection processes are understood here.
cowboy.protocols = { cowboy_clear = true, cowboy_tls = true }

local REQUEST = tuple { atom "cowboy_stream_h", atom "request_process", 3 }
local INITIAL_CALL, WEBSOCKET = atom "$initial_call", atom "cowboy_websocket"

local LIST, PAIR = shape.list(), shape.tuple(shape.any, shape.any)
local IN_WEBSOCKET = shape.tuple(shape.is(WEBSOCKET), shape.any, shape.any)

-- Where a poll of Phoenix's long polling waits for messages: it does nothing, and ends by itself after 10 s at most.
local IN_POLL = shape.tuple(shape.is(atom "Elixir.Phoenix.Transports.LongPoll"), shape.is(atom "listen"), shape.any)

local function dictionary_value(dictionary, key)
  for _, entry in ipairs(LIST(dictionary) and dictionary or {}) do
    if PAIR(entry) and entry[1] == key then return entry[2] end
  end
end

-- A process that runs a handler of the application; not one that has become a websocket over HTTP/2, nor a poll that waits.
local function is_request(info)
  return info and dictionary_value(info.dictionary, INITIAL_CALL) == REQUEST and not IN_WEBSOCKET(info.current_function)
    and not IN_POLL(info.current_function)
end

-- Who on this node is linked to these processes, without those who supervise them: of supervisors the dictionary would be large.
local function linked_to(node, pids, supervisors)
  local infos, message, code = node:process_info(pids, { "links" }, 30000)
  if not infos then return nil, message, code end
  local linked, seen = {}, {}
  for _, pid in ipairs(supervisors) do seen[pid] = true end
  for _, info in ipairs(infos) do
    for _, link in ipairs(info and LIST(info.links) and info.links or {}) do
      if shape.pid(link) and not seen[link] and node:owns(link) then
        seen[link] = true
        linked[#linked + 1] = link
      end
    end
  end
  return linked
end

--- The requests that run on http connections: cowboy links a process for each of them to the connection's. An idle
-- keep-alive connection has none.
-- @param node
-- @param connections pid set of http connections
-- @tparam table supervisors their supervisors
-- @return[1] a pid set of request processes
-- @return[2] nil, message, code
function cowboy.requests(node, connections, supervisors)
  local none = node:pids {}
  if #connections == 0 then return none end
  local linked, message, code = linked_to(node, connections, supervisors)
  if not linked then return nil, message, code end
  if #linked == 0 then return none end
  local infos
  infos, message, code = node:process_info(linked, { "dictionary", "current_function" })
  if not infos then return nil, message, code end
  local requests = {}
  for i, info in ipairs(infos) do
    if is_request(info) then requests[#requests + 1] = linked[i] end
  end
  return node:pids(requests)
end

-- Hiding connections from the release handler --------------------------------------------------------------------------
--
-- `cowboy:start_clear` has its connections typed `supervisor`. A relup that suspends or stops processes makes the release
-- handler walk every supervision tree; it meets a suspended process of that type after the point of no return, gives up, and
-- the node restarts. The type is a word in the state of ranch's connections supervisors, used for nothing but their answers
-- to which_children and count_children (and for protocols that start two processes, which cowboy's do not). So for as long
-- as connections are suspended, that word is `worker`, and the walk passes them by.

-- The call as data, so that it can be remembered and made later.
local function relabel(node, supervisors, from, to)
  return node:expression("relabel_connections", { Sups = supervisors, From = atom(from), To = atom(to) })
end

--- What hides the connections of these supervisors from the release handler, and what shows them again.
-- @return an act for `ctx:apply`: `{ call =, undo = }`
function cowboy.hiding(node, supervisors)
  return {
    call = relabel(node, supervisors, "supervisor", "worker"),
    undo = relabel(node, supervisors, "worker", "supervisor"),
  }
end

--- Which of these supervisors hide their connections now.
-- @tparam table supervisors of listeners whose connections are typed `supervisor`
-- @return[1] a list of pids
-- @return[2] nil, message, code
function cowboy.hidden(node, supervisors)
  return shape.expect(node, "which connections are hidden", shape.list(shape.pid),
    node:run("hidden_connections", { Sups = supervisors }, 5000 + 1000 * #supervisors))
end

--- Whether the release handler would walk into connections of these supervisors.
-- @return[1] how many connections are typed `supervisor` now
-- @return[2] nil, message, code
function cowboy.count_visible(node, supervisors)
  local counts, message, code = supervisor.count_children(node, supervisors)
  if not counts then return nil, message, code end
  local visible = 0
  for _, count in ipairs(counts) do visible = visible + (count.supervisors or 0) end
  return visible
end

return cowboy
