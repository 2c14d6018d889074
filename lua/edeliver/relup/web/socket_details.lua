--- What is known of single sockets: who is at the other end, which topics are joined, since when the socket is open.
--
-- Where a server does not say, it is not known. Costs one read of the topics' tables, and little for each process: for those that
-- are shown, not for all.
--
-- @module edeliver.relup.web.socket_details

local shape = require "edeliver.relup.node.shape"
local term = require "edeliver.relup.term"

local socket_details = {}

local TIMEOUT = 30000 -- ms
local UNKNOWN = shape.is(term.atom "undefined")
local ROW = shape.tuple(shape.either(shape.binary, UNKNOWN), shape.list(shape.binary), shape.either(shape.integer, UNKNOWN))

local function known(value) return not UNKNOWN(value) and value or nil end

--- Looks at websockets, channels or other connections.
-- @param node
-- @param site of `web.find`
-- @param pids a pid set or a list
-- @return[1] a list with `{ peer = "10.0.0.7:51234", topics = a list of texts, age = ms }` for each; `peer` and `age` are nil
-- where they are not known
-- @return[2] nil, message, code
function socket_details.of(node, site, pids)
  if #pids == 0 then return {} end
  local ports, list = {}, {}
  for _, listener in ipairs(site.listeners) do
    if math.type(listener.port) == "integer" then ports[#ports + 1] = listener.port end
  end
  for i = 1, #pids do list[i] = pids[i] end
  local answer, message, code = shape.expect(node, "what its sockets are", shape.list(ROW, #list),
    node:run("socket_details", { Pids = term.list(list), Ports = term.list(ports) }, TIMEOUT))
  if not answer then return nil, message, code end
  local found = {}
  for i, row in ipairs(answer) do
    local topics = {}
    for k, topic in ipairs(row[2]) do topics[k] = topic end
    found[i] = { peer = known(row[1]), topics = topics, age = known(row[3]) }
  end
  return found
end

return socket_details
