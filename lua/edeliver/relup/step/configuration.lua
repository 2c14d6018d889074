--- The configuration that an install would give the applications: whether it can be read at all, and what of the environment that
-- runs it would drop.
--
-- release_handler takes an unreadable sys.config for an empty one, and it knows no config provider: what was set while the node
-- ran, as by a runtime.exs, is gone as soon as a release is installed. Values stay on the node. Knows no relup.
--
-- @module edeliver.relup.step.configuration

local consult = require "edeliver.relup.consult"
local count = require "edeliver.relup.base.count"
local release_folder = require "edeliver.relup.otp.release_folder"
local shape = require "edeliver.relup.node.shape"
local term = require "edeliver.relup.term"

local configuration = {}

local atom = term.atom
local KEY = shape.tuple(shape.any, shape.any)
local KEYS = shape.tuple(shape.integer, shape.list(KEY))
local COMPARED = shape.tuple(KEYS, KEYS, KEYS)

-- As the application controller takes it: `[{Application, [{Key, Value}]} | File]`.
local ENVIRONMENT = shape.tuple(shape.atom, shape.list(shape.tuple(shape.any, shape.any)))
local CONFIG = shape.list(shape.either(ENVIRONMENT, function(value) return term.kind(value) == "charlist" end))

-- The sys.config of the target as a term; an empty list where neither it nor the release that runs has one.
local function read(node, target)
  local text, message, code = target:file(node, "sys.config")
  if text == nil then return nil, message, code end
  if not text then
    local now
    now, message, code = release_folder.read(node, target.from .. "/sys.config")
    if now == false then return term.list {} end
    if now == nil then return nil, message, code end
    return nil, ("releases/%s has no sys.config, and releases/%s has one: the applications of %s would lose their configuration")
      :format(target.version, target.from, node.name), "bad_config"
  end
  local terms
  terms, message = consult.parse(text)
  if terms and (#terms ~= 1 or not CONFIG(terms[1])) then
    terms, message = nil, "it has to be one list, [{Application, [{Key, Value}]}]"
  end
  if terms then return terms[1] end
  return nil, ("releases/%s/sys.config is not right: %s. release_handler would install %s with no configuration at all"):format(
    target.version, message, target.version), "bad_config"
end

-- Whether it names what resolves configuration when the node starts: Elixir's config providers.
local function has_providers(config)
  for _, application in ipairs(config) do
    if ENVIRONMENT(application) and application[1] == atom "elixir" then
      for _, pair in ipairs(application[2]) do
        if pair[1] == atom "config_provider_init" then return true end
      end
    end
  end
  return false
end

-- "myapp.secret, kernel.logger and 3 more"
local function names(keys)
  local words, total = {}, keys[1]
  for i, key in ipairs(keys[2]) do words[i] = ("%s.%s"):format(term.format(key[1]), term.format(key[2])) end
  return table.concat(words, ", ") .. (total > #words and (" and %d more"):format(total - #words) or "")
end

local function compare(node, target, config)
  local boot, message, code = target:file(node, "start.boot")
  if boot == nil then return nil, message, code end
  if not boot then
    return nil, ("releases/%s has no start.boot: release_handler cannot install it"):format(target.version), "no_boot_file"
  end
  local folder
  folder, message, code = release_folder.path(node)
  if not folder then return nil, message, code end
  return shape.expect(node, "what its configuration becomes", COMPARED, node:run("compare_configuration", {
    Config = config, Boot = boot, Old = term.charlist(folder .. "/" .. target.from),
  }, 30000))
end

--- Looks at the configuration that the target brings.
-- @param node
-- @tparam table target what `step.target` found
-- @tparam table options of the install: `forget_runtime_config`
-- @param ctx with its `configuration`, nothing is lost, and nothing is compared
-- @return[1] true
-- @return[2] nil, message, code: "bad_config", or "runtime_config" where config providers have set what would be lost
function configuration.look(node, target, options, ctx)
  local config, message, code = read(node, target)
  if not config then return nil, message, code end
  -- A deploy sets what was resolved, and has told what changes.
  if ctx.configuration then return true end
  local compared
  compared, message, code = compare(node, target, config)
  if not compared then return nil, message, code end
  local lost, reset, gone = compared[1], compared[2], compared[3]
  if gone[1] > 0 then
    ctx:log("info", ("The configuration of %s no longer has %s (%s)"):format(target.version, count.of(gone[1], "key"),
      names(gone)))
  end
  if lost[1] + reset[1] == 0 then return true end
  local words = {}
  if lost[1] > 0 then words[#words + 1] = ("drops %s (%s)"):format(count.of(lost[1], "value"), names(lost)) end
  if reset[1] > 0 then
    words[#words + 1] = ("resets %s to what the files say (%s)"):format(count.of(reset[1], "value"), names(reset))
  end
  local text = ("An install on %s loses what was configured after sys.config was read: it %s"):format(node.name,
    table.concat(words, ", and "))
  if has_providers(config) and not options.forget_runtime_config then
    return nil, ("%s. Config providers (runtime.exs) set such values only when the node starts. To install and live without "
      .. "them until then: --forget-runtime-config, or relup.install { forget_runtime_config = true }"):format(text),
      "runtime_config"
  end
  ctx:log("warning", text)
  return true
end

return configuration
