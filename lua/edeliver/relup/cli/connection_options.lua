--- How nodes are connected to: the options of the command line, and the same as words of a nodes file, for `relup.connect`.
--
-- @module edeliver.relup.cli.connection_options

local connection_options = {}

local TLS = {
  tls_ca = "cacertfile", tls_cert = "certfile", tls_key = "keyfile", tls_name = "server_name", tls_optfile = "optfile",
}
local TEXTS = { address = true, ssh = true }
local NUMBERS = { epmd_port = true, timeout = true }

--- Adds them to a command, as a group of its own in its help.
-- @param to the command's parser
-- @tparam function port converts a port
-- @tparam function positive converts a positive number
function connection_options.add(to, port, positive)
  to:group("Connection",
    to:option("--cookie-file", "File with the cookie; nobody else may be able to read it."):argname "FILE",
    to:flag("--ask-cookie", "Ask for the cookie."),
    to:option("--release", "Release folder on this machine: cookie and node's name as its start script takes them.")
      :argname "FOLDER",
    to:option("--ssh", "Reach the node from this host, by ssh: user@host, or a name that ssh knows."):argname "HOST",
    to:option("--epmd-port", "Port of epmd there (default: ERL_EPMD_PORT or 4369)."):argname "PORT":convert(port),
    to:option("--dist-port", "The node's own port: epmd is not asked."):argname "PORT":convert(port),
    to:option("--address", "Connect to this address instead of the name's host."):argname "HOST",
    to:option("--tls-ca", "CA certificate (PEM), for nodes with TLS distribution."):argname "FILE",
    to:option("--tls-cert", "Our certificate (PEM), where the node wants to see one."):argname "FILE",
    to:option("--tls-key", "Its key (PEM); EDELIVER_RELUP_KEY_PASSWORD has its password, if any."):argname "FILE",
    to:option("--tls-name", "The name in the node's certificate, where it is not the host."):argname "HOST",
    to:option("--tls-optfile", "A node's ssl_dist_optfile, for what is not said here."):argname "FILE",
    to:option("--timeout", "For connecting, in ms (default: 5000)."):argname "MS":convert(positive))
end

--- Those of them that take a value, as they are written.
connection_options.NAMES = { ["--cookie-file"] = true, ["--release"] = true, ["--dist-port"] = true }
for _, names in ipairs { TLS, TEXTS, NUMBERS } do
  for name in pairs(names) do connection_options.NAMES["--" .. name:gsub("_", "-")] = true end
end

--- What was said, as `relup.connect` takes it. Each option of TLS means TLS.
-- @tparam table said by the names of the options, with "_" for "-"
-- @tparam ?integer port the node's own
-- @treturn table without a cookie
function connection_options.of(said, port)
  local options = { port = port }
  for name in pairs(TEXTS) do options[name] = said[name] end
  for name in pairs(NUMBERS) do options[name] = said[name] end
  for name, field in pairs(TLS) do
    if said[name] then
      options.tls = options.tls or { password = os.getenv "EDELIVER_RELUP_KEY_PASSWORD" }
      options.tls[field] = said[name]
    end
  end
  return options
end

--- The same from the words behind a node's name: "address=10.0.0.1 epmd_port=4370 tls_ca=ca.pem".
-- @string text
-- @treturn[1] table
-- @return[2] nil, the word that is none of them
function connection_options.of_words(text)
  local said = {}
  for word in text:gmatch "%S+" do
    local field, value = word:match "^([%w_]+)=(.+)$"
    if TEXTS[field] or TLS[field] then
      said[field] = value
    elseif (NUMBERS[field] or field == "port") and math.tointeger(tonumber(value)) then
      said[field] = math.tointeger(tonumber(value))
    else
      return nil, word
    end
  end
  return connection_options.of(said, said.port)
end

--- The fields that `of_words` knows, for people.
connection_options.WORDS = "address, ssh, port, epmd_port, timeout, tls_ca, tls_cert, tls_key, tls_name, tls_optfile"

return connection_options
