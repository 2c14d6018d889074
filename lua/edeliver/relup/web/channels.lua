--- The channels of Phoenix endpoints, 1.4 to 1.8: one process for each topic that a websocket has joined, below the endpoint's
-- pools, and monitored by the websocket's process.
--
-- Knows no web server: it is given connections and says which of them have channels.
--
-- @module edeliver.relup.web.channels

local supervisor = require "edeliver.relup.otp.supervisor"
local term = require "edeliver.relup.term"

local channels = {}

local POOL = "^Elixir%.Phoenix%.Socket%.PoolSupervisor"

local function is_pool(child)
  if not child.pid or child.type ~= "supervisor" then return false end
  for _, module in ipairs(child.modules) do
    if module:find(POOL) then return true end
  end
  return term.kind(child.id) == "atom" and tostring(child.id.name):find(POOL) ~= nil
end

-- Everything below pools: supervisors are asked on, level by level; the workers are channels.
local function below(node, pools)
  local found = {}
  while #pools > 0 do
    local levels, message, code = supervisor.which_children(node, pools, 30000)
    if not levels then return nil, message, code end
    pools = {}
    for _, children in ipairs(levels) do
      for _, child in ipairs(children) do
        local to = child.type == "supervisor" and pools or found
        to[#to + 1] = child.pid
      end
    end
  end
  return found
end

--- All channel processes of endpoints.
-- @param node
-- @tparam table endpoints their registered names, as atoms
-- @return[1] a list of pids
-- @return[2] nil, message, code
function channels.find(node, endpoints)
  local answers, message, code = supervisor.which_children(node, endpoints)
  if not answers then return nil, message, code end
  local pools = {}
  for _, children in ipairs(answers) do
    for _, child in ipairs(children) do
      if is_pool(child) then pools[#pools + 1] = child.pid end
    end
  end
  return below(node, pools)
end

-- Whether a process monitors a channel: it does from the moment a join starts until the channel has ended.
local function has_channel(info, is_channel)
  for _, monitored in ipairs(info.monitors) do
    if is_channel[monitored[2]] then return true end
  end
  return false
end

--- Which of these connections have channels, read in one call.
-- @param node
-- @param connections a pid set
-- @tparam table found what `find` gave
-- @return[1] the pid set of those that have
-- @return[2] nil, message, code
function channels.of(node, connections, found)
  if #connections == 0 or #found == 0 then return node:pids {} end
  local infos, message, code = node:process_info(connections, { "monitors" }, 30000)
  if not infos then return nil, message, code end
  local is_channel, with = {}, {}
  for _, pid in ipairs(found) do is_channel[pid] = true end
  for i, info in ipairs(infos) do
    if info and has_channel(info, is_channel) then with[#with + 1] = connections[i] end
  end
  return node:pids(with)
end

return channels
