--- What the applications are configured with after an install: resolved before anything is stopped, held on the node, set inside
-- the script.
--
-- release_handler drops what config providers have set, and what applications have put into their own environment. So the new
-- release's providers are asked beforehand, in a VM of it beside the node, and what they give is merged with what runs. Values
-- stay on the node: what comes here are keys, and values only where they are asked for. Knows no relup but the one instruction.
--
-- @classmod edeliver.relup.deploy.configuration

local count = require "edeliver.relup.base.count"
local erlang = require "edeliver.relup.node.erlang"
local masked = require "edeliver.relup.plan.masked"
local shape = require "edeliver.relup.node.shape"
local term = require "edeliver.relup.term"

local configuration = {}
configuration.__index = configuration

local atom, tuple, list, charlist = term.atom, term.tuple, term.list, term.charlist

local HOLDER = atom "edeliver_relup_configuration"
local PATIENCE, RESOLVE_TIMEOUT, ASK_TIMEOUT = 30000, 240000, 30000 -- ms

-- What hold_configuration.erl answers.
local OK, PAIRS = shape.is(atom "ok"), shape.list(shape.tuple(shape.any, shape.any))
local NOTES = shape.list(shape.tuple(shape.atom, shape.any))
local HELD = shape.tuple(OK, shape.pid, NOTES, PAIRS, PAIRS, PAIRS)
local ERROR = shape.tuple(shape.is(atom "error"), shape.any, NOTES)
local PROVIDER = shape.tuple(shape.is(atom "provider"), shape.atom, shape.binary)
local PROBLEMS = shape.tuple(shape.is(atom "problems"), shape.list(shape.any))
local COMPILE_ENV = shape.tuple(shape.is(atom "compile_env"), shape.atom, shape.list(shape.any))
local RESERVED = shape.tuple(shape.is(atom "reserved"), shape.atom)
local UNWRITABLE = shape.tuple(shape.is(atom "unwritable"), shape.atom, shape.any)
local VERIFIED = shape.tuple(shape.integer, PAIRS)
local SIDE = shape.either(shape.is(atom "error"), shape.tuple(OK, shape.any))
local EXPANDED = shape.either(shape.is(atom "none"), shape.tuple(OK, shape.binary),
  shape.tuple(shape.is(atom "error"), shape.any))
local VALUES = shape.list(shape.tuple(shape.any, shape.any, SIDE, SIDE))

local function name_of(application, key) return ("%s.%s"):format(shape.to_text(application), term.format(key)) end

local function names_of(pairs_)
  local names = {}
  for i, pair in ipairs(pairs_) do names[i] = name_of(pair[1], pair[2]) end
  table.sort(names)
  return names
end

-- A module's name as people write it.
local function module_name(module) return (shape.to_text(module):gsub("^Elixir%.", "")) end

local function problem_in_words(problem)
  if COMPILE_ENV(problem) then
    local path = {}
    for i = 1, #problem[3] do path[i] = term.format(problem[3][i]) end
    return ("%s was compiled with another value of %s, and does not start with this one"):format(shape.to_text(problem[2]),
      table.concat(path, "."))
  elseif RESERVED(problem) then
    return ("its providers configure %s, which runs before them (reboot_system_after_config would allow it)"):format(
      shape.to_text(problem[2]))
  end
  if UNWRITABLE(problem) then
    return ("%s has a value that Elixir cannot write into a file, as a fun, and with reboot_system_after_config its next start "
      .. "reads that file"):format(name_of(problem[2], problem[3]))
  end
  return term.format(problem):sub(1, 200)
end

-- Why it cannot be resolved, in words.
local function reason_in_words(reason)
  if PROVIDER(reason) then
    return ("its config provider %s failed: %s"):format(module_name(reason[2]), shape.to_text(reason[3]):sub(1, 500))
  elseif PROBLEMS(reason) then
    local words = {}
    for i = 1, math.min(#reason[2], 5) do words[i] = problem_in_words(reason[2][i]) end
    return table.concat(words, "; ")
  end
  return term.format(reason):sub(1, 300)
end

local NO_VM = { no_peer = "its OTP is older than 25", no_erl = "it has no erl to start one with" }

local function say_notes(node, versions, notes, ctx)
  for i = 1, #notes do
    local which, why = notes[i][1].name, notes[i][2]
    if which == "new" then
      ctx:log("warning", ("No VM of %s could be started beside %s (%s): the running code resolves its configuration"):format(
        versions.version, node.name, shape.atom(why) and NO_VM[why.name] or term.format(why):sub(1, 200)))
    elseif which == "unresolved" then
      ctx:log("warning", ("The configuration of %s can no longer be resolved: %s. What its files say is taken for it"):format(
        versions.from, reason_in_words(why)))
    end
  end
end

-- The two calls that hold_configuration.erl makes of a release.
local function calls(node, root, version, patience)
  local at = { Root = charlist(root), Version = charlist(version) }
  local resolve = erlang.call_term(node:expression("resolve_configuration", {
    Root = at.Root, Version = at.Version, Patience = patience,
  }))
  local ask = node:expression("next_vm", { Root = at.Root, Version = at.Version, Questions = list { resolve } })
  return tuple { erlang.call_term(ask), resolve }
end

local function ask(self, request, answers)
  return shape.expect(self.node, "a question to what holds the configuration", answers,
    self.node:call("gen_server", "call", { self.pid, request, atom "infinity" }, ASK_TIMEOUT))
end

-- Values of what changes, in words, masked where they look like secrets. What has the name of one never leaves the node.
local function add_values(self, all)
  local asked = {}
  for _, pair in ipairs(all) do
    if not masked.is_secret(term.format(pair[2])) then asked[#asked + 1] = pair end
  end
  local answer, message, code = ask(self, tuple { atom "values", list(asked) }, VALUES)
  if not answer then return nil, message, code end
  self.values = {}
  for _, pair in ipairs(all) do self.values[name_of(pair[1], pair[2])] = { before = "********", after = "********" } end
  for _, row in ipairs(answer) do
    local name = name_of(row[1], row[2])
    local function shown(side) return side ~= atom "error" and masked.format(name, side[2]) or nil end
    self.values[name] = { before = shown(row[3]), after = shown(row[4]) }
  end
  return true
end

local function held(node, answer, options)
  local kinds, all = { added = answer[4], removed = answer[5], changed = answer[6] }, {}
  local self = setmetatable({ node = node, pid = answer[2], keys = {}, changed = {} }, configuration)
  for kind, pairs_ in pairs(kinds) do
    self.keys[kind] = names_of(pairs_)
    for _, pair in ipairs(pairs_) do
      all[#all + 1] = pair
      if kind == "changed" then table.insert(self.changed, pair) end
    end
  end
  local request = list { HOLDER, atom "set", atom "infinity" }
  self.instruction = tuple { atom "apply", tuple { atom "gen_server", atom "call", request } }
  if options.values then
    local added, message, code = add_values(self, all)
    if not added then
      self:leave()
      return nil, message, code
    end
  end
  return self
end

-- A sys.config that is made when the node starts, by the start script of relx. Its path where it was made; false where there is
-- nothing to do.
local function expand(node, versions)
  local answer, message, code = shape.expect(node, "its sys.config.src", EXPANDED, node:run("expand_sys_config", {
    Root = charlist(versions.root), Version = charlist(versions.version),
  }, ASK_TIMEOUT))
  if not answer then return nil, message, code end
  if answer == atom "none" then return false end
  if OK(answer[1]) then return answer[2] end
  return nil, ("No sys.config can be made of releases/%s/sys.config.src on %s: %s. Nothing was changed"):format(versions.version,
    node.name, term.format(answer[2]):sub(1, 300)), "configuration"
end

local function resolve(node, versions, ctx, options)
  local root, patience = versions.root, options.provider_timeout or PATIENCE
  local answer, message, code = shape.expect(node, "what its applications are configured with", shape.either(HELD, ERROR),
    node:run("hold_configuration", {
      New = calls(node, root, versions.version, patience), Old = calls(node, root, versions.from, patience),
      Keep = options.keep_env == true, Watched = ctx.guard and ctx.guard.pid or node:self(),
    }, RESOLVE_TIMEOUT))
  if not answer then return nil, message, code end
  say_notes(node, versions, answer[3], ctx)
  if ERROR(answer) then
    return nil, ("The configuration of %s cannot be resolved on %s: %s. Nothing was changed. To install it with the values that "
      .. "run: --keep-env"):format(versions.version, node.name, reason_in_words(answer[2])), "configuration"
  end
  return held(node, answer, options)
end

--- Resolves the configuration of a release that lies on the node, and holds it there, for as long as the guard is there. Nothing
-- is changed.
-- @param node
-- @tparam table versions `{ version = the one that is to run, from = the one that runs, root = where both lie on the node }`
-- @param ctx
-- @tparam[opt] table options `keep_env` (what runs stays; the new release's files only add to it), `values` (they are asked
-- for), `provider_timeout` (ms that each provider has, 30000)
-- @return[1] `keys` (`{ added =, removed =, changed = }`, lists of "application.key", against what runs), `changed` (a list of
-- `{Application, Key}`), `instruction` (of a relup: sets the values, where it is armed), `values` (`{ ["application.key"] =
-- { before =, after = texts, masked } }`, where asked for)
-- @return[2] nil, message, code: "configuration" where it cannot be resolved
function configuration.resolve(node, versions, ctx, options)
  local written, message, code = expand(node, versions)
  if written == nil then return nil, message, code end
  local self
  self, message, code = resolve(node, versions, ctx, options or {})
  if self then
    self.written = written
    return self
  end
  if written then node:call("file", "delete", { written }) end
  return nil, message, code
end

-- A key, with its values where they were asked for.
local function key_in_words(self, name)
  local values = self.values and self.values[name]
  if not values then return name end
  return ("%s: %s -> %s"):format(name, values.before or "none", values.after or "none")
end

--- In words what changes; with values, where they were asked for.
function configuration:describe()
  local words = {}
  for _, kind in ipairs { "added", "removed", "changed" } do
    local names = {}
    for i, name in ipairs(self.keys[kind]) do names[i] = key_in_words(self, name) end
    if #names > 0 then
      local shown = table.concat(names, ", ", 1, math.min(#names, self.values and #names or 8))
      words[#words + 1] = ("%s %s (%s%s)"):format(count.of(#names, "key"), kind, shown,
        #names > 8 and not self.values and (" and %d more"):format(#names - 8) or "")
    end
  end
  return #words > 0 and "configuration: " .. table.concat(words, ", ") or "configuration: nothing changes"
end

--- From now on the relup's instruction sets the values.
-- @return[1] true
-- @return[2] nil, message, code
function configuration:arm()
  local answer, message, code = ask(self, atom "arm", OK)
  if not answer then return nil, message, code end
  return true
end

--- Whether the applications have what was resolved. What an application has put into its environment by itself does not count.
-- @return[1] `{ keys = how many the release configures, equal =, different = list of "application.key" }`
-- @return[2] nil, message, code
function configuration:verify()
  local answer, message, code = ask(self, atom "verify", VERIFIED)
  if not answer then return nil, message, code end
  return { keys = answer[1], equal = answer[1] - #answer[2], different = names_of(answer[2]) }
end

--- Where the install has failed: what was written for it goes.
-- @return[1] true
-- @return[2] nil, message, code
function configuration:take_back()
  if not self.written then return true end
  local done, message, code = self.node:call("file", "delete", { self.written })
  if done == nil then return nil, message, code end
  return true
end

--- Lets go of the values: they are held no longer. To be called on every way out; twice does no harm.
function configuration:leave()
  if self.left then return true end
  self.left = true
  local answer, message, code = ask(self, atom "leave", OK)
  if not answer and code ~= "exit" then return nil, message, code end
  return true
end

return configuration
