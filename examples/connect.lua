-- Connects to a node and asks who it is: lua5.4 connect.lua NODE [CACERTFILE [CERTFILE KEYFILE]]
--
-- The files are for nodes with TLS distribution.

local relup = require "edeliver.relup"

local name, authority, certificate, key = arg[1], arg[2], arg[3], arg[4]
if not name then
  io.stderr:write "usage: lua5.4 connect.lua NODE [CACERTFILE [CERTFILE KEYFILE]]\n"
  os.exit(64)
end

local options = { timeout = 5000 }
if authority then
  options.tls = {
    cacertfile = authority,                          -- who has signed the node's certificate
    certfile = certificate, keyfile = key,           -- where the node wants to see ours
  }
end

local node <close> = assert(relup.connect(name, options))
local release = assert(node:call("erlang", "system_info", { relup.term.atom "otp_release" }))
print(node, "OTP", release)
