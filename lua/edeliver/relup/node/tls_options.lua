--- The options of TLS: as the caller gives them, and as a node's own `ssl_dist_optfile` has them.
--
-- Knows files and terms, no connection. That certificates are not checked is never read from a file: only `connect`
-- can say that, in the exact word.
--
-- @module edeliver.relup.node.tls_options

local core = require "edeliver.relup.core"
local term = require "edeliver.relup.term"

local tls_options = {}

--- The environment variable that can say `required`: then no connection is made in the clear.
tls_options.VARIABLE = "EDELIVER_RELUP_TLS"

local atom = term.atom

local OPTIONS = {
  optfile = true, cacertfile = true, certfile = true, keyfile = true, password = true, server_name = true, verify = true,
}

local function check(options, level)
  if type(options) ~= "table" then error("the option tls is a table, like { cacertfile = \"ca.pem\" }", level + 1) end
  for option, value in pairs(options) do
    if not OPTIONS[option] then error(("tls has no option %q"):format(tostring(option)), level + 1) end
    if type(value) ~= "string" then error(("the option tls.%s is a string"):format(option), level + 1) end
  end
  if options.verify and options.verify ~= "peer" and options.verify ~= "none" then
    error(("the option tls.verify is \"peer\" or \"none\", not %q"):format(options.verify), level + 1)
  end
end

-- A path or a name: a string or a binary in Erlang. Anything else (`disable`, a function) is nil.
local function text_of(value)
  if term.kind(value) == "charlist" then return value.text end
  return type(value) == "string" and value or nil
end

-- The first value of a key of a list of pairs, as text. Other options than pairs are no concern of ours.
local function field(section, key)
  for _, option in ipairs(section) do
    if term.kind(option) == "tuple" and #option == 2 and option[1] == atom(key) then return text_of(option[2]) end
  end
end

local function is_section(value)
  return term.kind(value) == "tuple" and #value == 2 and term.kind(value[2]) == "list"
    and (value[1] == atom "client" or value[1] == atom "server")
end

-- What a client takes from the file: the section `client` first, `server` where that is silent. The key belongs to the
-- certificate, so both come from the same section.
local function choose(client, server)
  local found = { cacertfile = field(client, "cacertfile") or field(server, "cacertfile"),
    server_name = field(client, "server_name_indication") }
  local section = field(client, "certfile") and client or server
  found.certfile, found.keyfile = field(section, "certfile"), field(section, "keyfile")
  found.password = field(section, "password")
  return found
end

--- Reads a node's `ssl_dist_optfile`: `[{server, [{certfile, "..."}, ...]}, {client, [...]}].` Paths in it are taken as the
-- node takes them, relative ones from the current folder. The file is ours or root's, and nobody else can use it: it may hold a
-- password, and it names whom we trust. Of its options only files, password and `server_name_indication` are used.
-- @string path
-- @treturn[1] table `cacertfile`, `certfile`, `keyfile`, `password`, `server_name`, each where the file has it
-- @return[2] nil, message, code
function tls_options.read(path)
  local file, message = core.open_private(path)
  if not file then return nil, "the ssl_dist_optfile cannot be used: " .. message, "tls" end
  local text = file:read "a"
  file:close()
  if not text then return nil, ("the ssl_dist_optfile %s cannot be read"):format(path), "tls" end
  -- Only here: it takes a good part of the time that a program needs to start.
  local terms, problem = require "edeliver.relup.consult".parse(text)
  if not terms then return nil, ("the ssl_dist_optfile %s is not Erlang terms: %s"):format(path, problem), "tls" end
  local sections = {}
  for _, section in ipairs(term.kind(terms[1]) == "list" and terms[1] or {}) do
    if is_section(section) then sections[section[1].name] = section[2] end
  end
  if #terms ~= 1 or not next(sections) then
    return nil, ("%s is no ssl_dist_optfile: it has one list with {server, Options} and {client, Options}"):format(path), "tls"
  end
  return choose(sections.client or {}, sections.server or {})
end

--- The options for a connection: those of the caller, completed from the `optfile` that they may name.
-- @tparam table options `optfile`, `cacertfile`, `certfile`, `keyfile`, `password`, `server_name`, `verify`
-- @tparam[opt=1] number level whose mistake a wrong option is
-- @treturn[1] table the same without `optfile`
-- @return[2] nil, message, code
function tls_options.resolve(options, level)
  check(options, (level or 1) + 1)
  local resolved = {}
  if options.optfile then
    local found, message, code = tls_options.read(options.optfile)
    if not found then return nil, message, code end
    resolved = found
    if options.certfile then resolved.keyfile, resolved.password = nil, nil end
  end
  for option, value in pairs(options) do
    if option ~= "optfile" then resolved[option] = value end
  end
  return resolved
end

--- Whether and how a connection is made over TLS: where the caller gives options, and where the environment requires it.
-- @tparam ?table options as `resolve` takes them; nil or false: none
-- @tparam[opt=1] number level whose mistake a wrong option is
-- @treturn[1] table|boolean what `resolve` gives; false: in the clear
-- @return[2] nil, message, code
function tls_options.wanted(options, level)
  local said = os.getenv(tls_options.VARIABLE) or ""
  if said ~= "" and said ~= "required" then
    return nil, ("%s is %q: it can say \"required\", and nothing else"):format(tls_options.VARIABLE, said), "tls"
  end
  if not options and said == "" then return false end
  return tls_options.resolve(options or {}, (level or 1) + 1)
end

return tls_options
