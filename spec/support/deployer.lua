--- An operator's program for specs of accidents in a deploy: deploys a release, or rolls back, and does harm at one part of it.
--
--     lua5.4 deployer.lua node=… cookie=… epmd_port=… [port=…] [release=PATH] journal=… grace=… at=PART fault=FAULT
--
-- Parts: "ship" (a file is on its way), "register" (it is registered), "configuration" (it is resolved), "swap" (release_handler
-- has been asked), "verify" (it is about to be). Faults: "kill", or "doze", which waits with the connection unattended.
-- It prints "at the fault" when it is there, and "ok" or "failed CODE" at the end.

local core = require "edeliver.relup.core"
local relup = require "edeliver.relup"

local given = {}
for _, word in ipairs(arg) do
  local name, value = word:match "^([%w_]+)=(.*)$"
  given[name] = tonumber(value) or value
end

local happened = false

local function happen()
  if happened then return end
  happened = true
  print "at the fault"
  io.stdout:flush()
  if given.fault == "kill" then os.execute "kill -KILL $PPID" end
  if given.fault == "doze" then core.sleep(given.wait or 1000) end
end

-- Puts the fault before or behind a function of a module.
local function at(module, name, before, only)
  local owner = require("edeliver.relup." .. module)
  local act = owner[name]
  owner[name] = function(...)
    if before then happen() end
    local results = table.pack(act(...))
    if not before and (not only or only(...)) then happen() end
    return table.unpack(results, 1, results.n)
  end
end

local PARTS = {
  ship = function() end,
  register = function() at("deploy.register", "add") end,
  configuration = function() at("deploy.configuration", "resolve") end,
  swap = function()
    at("undo.call_in_flight", "begin", false, function(_, _, name) return name == "install_release" end)
  end,
  verify = function() at("deploy.verify", "modules", true) end,
  none = function() end,
}
PARTS[given.at]()

local install = given.release and relup.install {
  release = given.release, progress = given.at == "ship" and happen or nil,
} or relup.rollback()
local node <close> = assert(relup.connect(given.node, {
  cookie = given.cookie, epmd_port = given.epmd_port, port = given.port, address = given.port and "127.0.0.1",
}))
local report, message, unfinished = relup.sequence({ "check_processes_running_old_code", install }):run(node, {
  journal = given.journal, grace = given.grace, lease = given.lease,
})
print(report and "ok" or "failed " .. tostring(unfinished.code))
print(report or message)
