--- Certificates for specs, made by the openssl program in a temporary folder: a CA, and what it has signed.
-- It knows nothing of Erlang beyond the text of an `ssl_dist_optfile`.

local process = require "support.process"

local certificates = {}
local methods = {}
local metatable = { __index = methods }
methods.__index = methods
metatable.__close = function(self) self:remove() end
metatable.__gc = metatable.__close

local KEY = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1"

local function run(command)
  local printed, ok = process.output(command .. " 2>&1")
  if not ok then error(("%s\n%s"):format(command, printed), 3) end
end

--- A new CA: an object with `folder`, `ca` (the path of its certificate) and the methods below.
function certificates.new()
  local folder = process.temporary_folder()
  local self = setmetatable({ folder = folder, ca = folder .. "/ca.pem" }, metatable)
  run(("openssl req -x509 %s -nodes -keyout %s/ca.key -out %s -subj '/CN=CA of the specs' -days 2"):format(KEY, folder, self.ca))
  return self
end

--- Signs a certificate for `host` (a name, or an IP address) and gives the paths of certificate and key.
-- @tparam[opt] table options `days` (2; negative for one that has expired), `password` (of the key)
function methods:sign(name, host, options)
  options = options or {}
  local certificate, key = ("%s/%s.pem"):format(self.folder, name), ("%s/%s.key"):format(self.folder, name)
  local secret = options.password and "-passout pass:" .. options.password or "-nodes"
  local kind = host:match "^[%d.]+$" and "IP" or "DNS"
  run(("openssl req -new %s %s -keyout %s -out %s.csr -subj /CN=%s -addext subjectAltName=%s:%s"):format(
    KEY, secret, key, key, name, kind, host))
  run(("openssl x509 -req -in %s.csr -CA %s -CAkey %s/ca.key -days %d -copy_extensions copy -out %s"):format(
    key, self.ca, self.folder, options.days or 2, certificate))
  return certificate, key
end

--- Writes an `ssl_dist_optfile` and gives its path, and the arguments for erl.
-- @string name
-- @tparam table sections `{ server = { "{certfile, \"...\"}", ... }, client = ... }`: options as Erlang text
function methods:optfile(name, sections)
  local path = ("%s/%s.conf"):format(self.folder, name)
  local text = {}
  for section, options in pairs(sections) do
    text[#text + 1] = ("{%s, [%s]}"):format(section, table.concat(options, ", "))
  end
  local file = assert(io.open(path, "w"))
  file:write("[", table.concat(text, ",\n "), "].\n")
  file:close()
  run("chmod 600 " .. path)
  return path, { "-proto_dist", "inet_tls", "-ssl_dist_optfile", path }
end

--- The arguments for erl of a node that speaks TLS under a certificate, and wants a certificate of whoever connects.
-- @tparam[opt] table more further options of the server, as Erlang text
function methods:node_arguments(name, certificate, key, more)
  local server = { ("{certfile, %q}"):format(certificate), ("{keyfile, %q}"):format(key), ("{cacertfile, %q}"):format(self.ca),
    "{verify, verify_peer}", "{fail_if_no_peer_cert, true}" }
  table.move(more or {}, 1, #(more or {}), #server + 1, server)
  local client = { ("{certfile, %q}"):format(certificate), ("{keyfile, %q}"):format(key), ("{cacertfile, %q}"):format(self.ca),
    "{verify, verify_peer}" }
  local path, arguments = self:optfile(name, { server = server, client = client })
  return arguments, path
end

function methods:remove()
  if not self.folder then return end
  process.remove_folder(self.folder)
  self.folder = nil
end

return certificates
