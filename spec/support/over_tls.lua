-- A busted helper (tools/matrix): every node that specs start speaks TLS, and every connection to one does, without the specs
-- knowing. Specs that are about TLS or about ways to connect are not to be run like this.

local certificates = require "support.certificates"
local node = require "support.node"
local connecting = require "edeliver.relup.node"

local ours = certificates.new()
local certificate, key = ours:sign("node", "127.0.0.1")
local arguments, optfile = ours:node_arguments("node", certificate, key)

node.certificates = ours -- they go when nobody holds them

local prepare, connect = node.prepare, connecting.connect

function node.prepare(options)
  local environment, words, self = prepare(options)
  table.move(arguments, 1, #arguments, #words + 1, words)
  return environment, words, self
end

-- erl_call speaks no TLS.
function node.methods:eval(expressions)
  local connection <close> = assert(connecting.connect(self.name, { cookie = self.cookie, epmd_port = self.epmd_port }))
  local value, message = connection:eval(("unicode:characters_to_binary(io_lib:format(\"~0tp\", [begin %s end])).")
    :format((expressions:gsub("%.%s*$", ""))), {}, 30000)
  return value, message
end

function connecting.connect(name, options)
  local given = { tls = { optfile = optfile } }
  for option, value in pairs(options or {}) do given[option] = value end
  return connect(name, given)
end
