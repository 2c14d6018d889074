--- What the new release says of itself: a VM of it is started beside the node and asked for the children of supervisors and
-- applications that change, and for the configuration that its providers resolve. Its answers take the place of what literals
-- told before.
--
-- The release must lie on the node's disk. Where no such VM can be had, the plan keeps what literals tell, and says so.
--
-- @module edeliver.relup.plan.next_vm

local erlang = require "edeliver.relup.node.erlang"
local shape = require "edeliver.relup.node.shape"
local term = require "edeliver.relup.term"

local next_vm = {}

local atom, tuple, list, charlist = term.atom, term.tuple, term.list, term.charlist

local TIMEOUT, PATIENCE = 120000, 30000 -- ms: for all, and for a provider
local NAMES = shape.either(shape.list(shape.any), shape.tuple(shape.is(atom "error"), shape.any))
local ANSWERS = shape.list(shape.tuple(shape.atom, NAMES, NAMES))
local KEYS = shape.list(shape.tuple(shape.any, shape.any, shape.either(shape.is(atom "added"), shape.is(atom "changed"))))
local SPECS = shape.list(shape.tuple(shape.atom, shape.any, shape.any))
local ERROR = shape.tuple(shape.is(atom "error"), shape.any)
local ANSWER = shape.either(ERROR, shape.tuple(shape.is(atom "ok"), shape.list(shape.either(ERROR,
  shape.tuple(ANSWERS, ANSWERS, KEYS, SPECS)), 1)))

local function absolute(path)
  if path:sub(1, 1) == "/" then return path end
  return (os.getenv "PWD" or ".") .. "/" .. path
end

--- Where a release that was read here lies on the node: at the same path, or below the node's own root, where that has the same
-- .rel file.
-- @param node
-- @param new a release
-- @string own_root the root of what runs on the node
-- @return a path, or nil
function next_vm.root_of(node, new, own_root)
  for _, root in ipairs { own_root, new.kind == "folder" and absolute(new.path) or nil } do
    local answer = node:run("read_files", { Root = charlist(root), Paths = list { new.rel_path } })
    local has = shape.list(shape.tuple(shape.binary, shape.binary), 1)
    if answer ~= nil and has(answer) and answer[1][2] == new.texts[new.rel_path] then return root end
  end
  return nil
end

-- Whose children may be others: changed supervisors, and applications whose callback changed.
local function questions(made)
  local supervisors, applications = {}, {}
  local changed = {}
  for _, name in ipairs(made.modules.changed) do
    changed[name] = true
    local before, about = made.facts.before[name], made.facts.about[name]
    if about.is_supervisor and before.is_supervisor then supervisors[#supervisors + 1] = atom(name) end
  end
  for _, name in ipairs(made.new.order) do
    local mod = made.new.applications[name].app.mod
    -- Elixir's Supervisor can be replaced for the question; what starts its supervisor otherwise would really start.
    if mod and changed[mod] and mod:find "^Elixir%." then applications[#applications + 1] = tuple { atom(name), atom(mod) } end
  end
  return supervisors, applications
end

local function name_of(id) return term.kind(id) == "atom" and term.text(id) or term.format(id) end

local function set_of(names)
  local set = {}
  for i = 1, #names do set[name_of(names[i])] = true end
  return set
end

local function only_in(a, b)
  local found = {}
  for name in pairs(a) do
    if not b[name] then found[#found + 1] = name end
  end
  table.sort(found)
  return found
end

local function is_error(value) return term.kind(value) == "tuple" end

-- Whether a question had no answer since there is nothing to be told: nobody runs it, or it starts a supervisor's module, which
-- is asked for itself.
local function is_no_question(reason)
  if reason == atom "not_running" then return true end
  if term.kind(reason) ~= "tuple" then return false end
  if reason[1] == atom "started" then return term.kind(reason[2]) == "atom" end
  return reason[1] == atom "throw" and is_no_question(reason[2])
end

-- Puts what was answered in the place of what literals told; what could not be answered stays, and goes into `unanswered`.
local function replace(told, answers, describe, unanswered)
  local kept, answered = {}, {}
  for i = 1, #answers do
    local module, new, now = term.text(answers[i][1]), answers[i][2], answers[i][3]
    local failed = is_error(new) and new or is_error(now) and now
    if failed and not is_no_question(failed[2]) then
      unanswered[#unanswered + 1] = { module = module, why = term.format(failed[2]) }
    end
    if not failed then
      answered[module] = true
      local gained, lost = only_in(set_of(new), set_of(now)), only_in(set_of(now), set_of(new))
      if #gained + #lost > 0 then
        kept[#kept + 1] = describe(module, { module = module, gained = gained, lost = lost, found_by = "next_vm" })
      end
    end
  end
  for _, one in ipairs(told) do
    if not answered[one.module] then kept[#kept + 1] = one end
  end
  return kept
end

-- Adds keys whose resolved values are others; those that the files told of already are there.
local function add_keys(configuration, keys)
  local known = {}
  for _, kind in ipairs { "added", "removed", "changed" } do
    for _, key in ipairs(configuration[kind]) do known[key] = true end
  end
  for i = 1, #keys do
    local key = ("%s.%s"):format(term.text(keys[i][1]), term.format(keys[i][2]))
    if not known[key] then table.insert(configuration[keys[i][3].name], key) end
  end
  table.sort(configuration.added)
  table.sort(configuration.changed)
end

local function reason_of(answer, message)
  if answer == nil then return message end
  if answer[2] == atom "no_peer" then return "its OTP is older than 25" end
  return term.format(answer[2])
end

-- The specs of children that somebody wants to start, by their names.
local function specs_of(answers)
  local found = {}
  for i = 1, #answers do
    local module = answers[i][1].name
    found[module] = found[module] or {}
    found[module][name_of(answers[i][2])] = { id = answers[i][2], spec = answers[i][3] }
  end
  return found
end

--- Asks.
-- @param node
-- @tparam table made a plan of that node; its `facts.supervisors` and `facts.applications` are replaced, keys are added to its
-- `configuration`; of the children that `start_children` names, `facts.applications` get the `specs` (`{ id =, spec = }` by name;
-- they may hold secrets: never shown, in no file)
-- @string root where the new release lies on the node
-- @return[1] true
-- @return[2] nil, why not, in words
function next_vm.ask(node, made, root)
  local supervisors, applications = questions(made)
  local new = made.new
  local at = { Root = charlist(root), Version = charlist(new.version) }
  local resolve = node:expression("resolve_configuration", { Root = at.Root, Version = at.Version, Patience = PATIENCE })
  local question = node:expression("next_children", {
    Resolve = erlang.call_term(resolve), Supervisors = list(supervisors),
    Applications = list(applications), Wanted = list { table.unpack(made.start_children) },
  })
  local answer, message = shape.expect(node, "next_vm.erl", ANSWER, node:run("next_vm", {
    Root = at.Root, Version = at.Version, Questions = list { erlang.call_term(question) },
  }, TIMEOUT))
  if answer and not ERROR(answer) then answer = answer[2][1] end
  if answer == nil or ERROR(answer) then return nil, reason_of(answer, message) end
  local facts, application_of, specs = made.facts, {}, specs_of(answer[4])
  for _, pair in ipairs(applications) do application_of[pair[2].name] = pair[1].name end
  local function with_application(module, found)
    found.application, found.specs = application_of[module], specs[module] or {}
    return found
  end
  add_keys(made.configuration, answer[3])
  facts.unanswered = {}
  facts.supervisors = replace(facts.supervisors, answer[1], function(_, found) return found end, facts.unanswered)
  facts.applications = replace(facts.applications, answer[2], with_application, facts.unanswered)
  return true
end

return next_vm
