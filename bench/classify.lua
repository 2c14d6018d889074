-- How long it takes to sort all connections of an endpoint into websockets of channels and the rest, from outside, against one
-- bulk process_info of the same pids inside the node. Real sockets, on cowboy and ranch. The best of nine of each, taken in turn:
-- whatever else runs on the machine disturbs the way with more parts more.
-- lua5.4 bench/classify.lua [COUNT]: as many sockets as descriptors allow, unless a number is given

package.path = "lua/?.lua;lua/?/init.lua;spec/?.lua;" .. package.path
local core = require "edeliver.relup.core"
local web = require "edeliver.relup.web"
local clients = require "support.clients"
local live = require "support.live"
local process = require "support.process"

local ROUNDS, WANTED = 9, 3
local SPARE = 600 -- descriptors that a node or the clients need for other things
local SHARE = 100 -- one in so many sockets joins no channel, one in so many connections is plain http

-- A call of the node's own clock around the read that is the least anybody has to do.
local INSIDE = [[
  element(1, timer:tc(lists, zipwith, [fun erlang:process_info/2, Pids, lists:duplicate(length(Pids), monitors)])) / 1000.]]

local function measure(node, site)
  local ours, inside, found = {}, {}, nil
  for round = 1, ROUNDS do
    local before = core.now()
    found = assert(site:connections())
    ours[round] = core.now() - before
    inside[round] = assert(node:eval(INSIDE, { Pids = found.websockets:plus(found.idle):plus(found.http) }, 60000))
  end
  return math.min(table.unpack(ours)), math.min(table.unpack(inside)), found
end

local allowed = tonumber((process.output "ulimit -n":gsub("%s", ""))) or 1024
local ports = 28000 -- that one address has for connections to one port
local count = math.tointeger(arg[1]) or math.min(100000, allowed - SPARE, ports - SPARE)
local chat <close> = live.start { args = { "+Q", "262144", "+P", "1048576" } }
local bare = count // SHARE
local sockets <close> = clients.open {
  port = chat.ports.endpoint, count = count - bare, interval = 3600000,
}
sockets:open { port = chat.ports.endpoint, count = bare, topic = false, frame = "heartbeat", interval = 3600000 }
local site = assert(web.find(chat.node, "chat"))
local ours, inside, found = measure(chat.node, site)
assert(#found.websockets == count - bare and #found.idle == bare and #found.channels == count - bare)
print(("%d connections (%d descriptors allowed), %d of them without a channel: sorted in %.1f ms from outside, one bulk "
  .. "process_info inside the node %.1f ms; ratio %.1f, wanted at most %d"):format(
  count, allowed, bare, ours, inside, ours / inside, WANTED))
if ours / inside > WANTED then os.exit(1, true) end
