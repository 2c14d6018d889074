-- Watches a node: lua5.4 watch.lua NODE APPLICATION [SECONDS [COUNT]]
--
-- A line every SECONDS (1): processes, who sits suspended, websockets, the longest mailbox. Goes on when the node has been
-- away; ends after COUNT lines, or at Ctrl-C.

local relup = require "edeliver.relup"
local web = require "edeliver.relup.web"

local name, application = arg[1], arg[2]
local seconds, count = tonumber(arg[3] or 1), tonumber(arg[4] or math.huge)
if not application or not seconds or not count then
  io.stderr:write "usage: lua5.4 watch.lua NODE APPLICATION [SECONDS [COUNT]]\n"
  os.exit(64)
end

local function longest_mailbox(infos)
  local longest = 0
  for _, info in ipairs(infos) do longest = math.max(longest, info and info.message_queue_len or 0) end
  return longest
end

-- One look at the node, in words; nil, message, code where it does not answer.
local function look(node)
  local pids, message, code = node:processes()
  if not pids then return nil, message, code end
  local infos
  infos, message, code = node:process_info(pids, { "message_queue_len" })
  if not infos then return nil, message, code end
  local suspended
  suspended, message, code = node:suspended(pids)
  if not suspended then return nil, message, code end
  local site = web.find(node, application)
  local sockets = site and site:connections()
  return ("%d processes, %d suspended, %s websockets, longest mailbox %d"):format(
    #pids, #suspended, sockets and #sockets.websockets or "no", longest_mailbox(infos))
end

local node <close> = assert(relup.connect(name))
for i = 1, count do
  local line, message = look(node)
  print(os.date "%H:%M:%S", line or message)
  io.stdout:flush()
  if not line and not node:is_open() then node:reconnect(10000) end
  if i < count then node:sleep(seconds * 1000) end
end
