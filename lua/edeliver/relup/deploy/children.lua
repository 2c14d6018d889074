--- Children that `Application.start/2` of the new release lists: an upgrade does not call it again, so two steps start those that
-- the operator has named, and end them again on the way back.
--
-- Each is started by its exact child spec, as the new release itself gives it, in the top supervisor of its application. The node
-- remembers them for as long as its VM lives.
--
-- @module edeliver.relup.deploy.children

local count = require "edeliver.relup.base.count"
local names = require "edeliver.relup.plan.names"
local release_handler = require "edeliver.relup.otp.release_handler"
local shape = require "edeliver.relup.node.shape"
local term = require "edeliver.relup.term"

local children = {}

local atom, tuple, list = term.atom, term.tuple, term.list

local TIMEOUT = 120000 -- ms: a child's init may take its time
local CHILDREN = shape.list(shape.tuple(shape.atom, shape.any))
local STARTED = shape.either(shape.tuple(shape.is(atom "ok"), CHILDREN),
  shape.tuple(shape.is(atom "error"), shape.atom, shape.any, shape.any))

local function ask(node, name, has, bindings)
  return shape.expect(node, name .. ".erl", has, node:run(name, bindings, TIMEOUT))
end

local function in_words(ids)
  local words = {}
  for i, id in ipairs(ids) do words[i] = names.short(term.text(id) or term.format(id)) end
  return table.concat(words, ", ")
end

-- The specs of the children that the plan is to start, in the order in which they were named.
local function chosen(made)
  local found = {}
  for _, name in ipairs(made.start_children) do
    local child
    for _, application in ipairs(made.started) do
      for known, one in pairs(application.specs or {}) do
        if names.short(known) == names.short(name) then child = tuple { atom(application.application), one.spec } end
      end
    end
    if not child then
      return nil, ("%s cannot be started: the new release did not say how, since %s"):format(name,
        made.next_vm_failed or "it does not start it itself"), "no_such_child"
    end
    found[#found + 1] = child
  end
  return found
end

local function start(node, specs)
  local answer, message, code = ask(node, "start_children", STARTED, { Children = specs })
  if not answer then return nil, message, code end
  if answer[1] == atom "error" then
    return nil, ("%s of %s did not start: %s"):format(in_words { answer[3] }, answer[2].name, term.format(answer[4])),
      "child_failed"
  end
  return answer[2]
end

local function finish(node, some)
  return ask(node, "end_children", CHILDREN, { Children = some })
end

local function ids_of(some)
  local ids = {}
  for i = 1, #some do ids[i] = some[i][2] end
  return ids
end

--- The step right behind the install: starts the children that the plan's option `start_children` names, all or none. It has no
-- undo: what is installed then stays, and its children belong to it.
-- @func get_plan gives the plan, of `edeliver.relup.plan`, once its release lies on the node and was asked
-- @treturn table a step; `prepare` refuses where a spec is missing
function children.starting(get_plan)
  local specs = list {}
  return {
    name = "start_children",
    prepare = function()
      local found, message, code = chosen(get_plan())
      if not found then return nil, message, code end
      specs = list(found)
      return ("%s will be started"):format(count.of(#specs, "child", "children"))
    end,
    run = function(node)
      local done, message, code = start(node, specs)
      if not done then return nil, message, code end
      return #done > 0 and ("started %s"):format(in_words(ids_of(done))) or "all run already"
    end,
  }
end

-- Those that the release that the node goes back to starts by itself stay.
local function without_listed(some, made)
  local kept = {}
  for i = 1, #some do
    local is_lost = true
    for _, application in ipairs(made and made.started or {}) do
      if application.application == some[i][1].name and application.found_by == "next_vm" then
        is_lost = names.set(application.lost)[in_words { some[i][2] }] == true
      end
    end
    if is_lost then kept[#kept + 1] = some[i] end
  end
  return list(kept)
end

--- The step right before the install on the way back: ends the children that `starting` has started on this node. Its undo starts
-- them again, where the install did not happen.
-- @func[opt] get_plan gives the plan of the way back, where there is one: what its release starts by itself stays
-- @treturn table a step
function children.ending(get_plan)
  local ended = {}
  return {
    name = "end_children",
    run = function(node)
      local known, message, code = ask(node, "remembered_children", CHILDREN, {})
      if not known then return nil, message, code end
      known, message, code = finish(node, without_listed(known, get_plan and get_plan()))
      if not known then return nil, message, code end
      ended = known
      local ids = {}
      for i = 1, #ended do
        local spec = ended[i][2]
        ids[i] = term.kind(spec) == "map" and spec:get(atom "id") or spec[1]
      end
      return #ids == 0 or ("ended %s"):format(in_words(ids))
    end,
    undo = function(node, ctx)
      -- Where a later step failed, the release that does not have them is installed already.
      if #ended == 0 or release_handler.runs(node, ctx.config.version) then return true end
      local done, message, code = start(node, ended)
      if not done then return nil, message, code end
      ended = {}
      return true
    end,
  }
end

return children
