--- The operator's own steps around a swap, from a `relup.lua` beside the release.
--
-- The file is Lua, and runs on the machine of whoever deploys, with all that they may do: it is read only where nobody else can
-- change it. It returns a table with `before_swap`, `after_swap`, `before_swap_down` and `after_swap_down`, each a step or a list
-- of steps; a step is a function of `node, argument, ctx`, or a table as a sequence takes it.
--
-- @module edeliver.relup.deploy.own_steps
-- @usage
-- return {
--   after_swap = function(node, name, ctx)
--     ctx:log("info", "warming up")
--     return node:call("Elixir.MyApp.Cache", "warm", {}) and "the cache is warm"
--   end,
--   before_swap_down = { { name = "drop_cache", run = function(node) return node:call("Elixir.MyApp.Cache", "drop", {}) end } },
-- }

local attempt = require "edeliver.relup.base.attempt"
local core = require "edeliver.relup.core"

local own_steps = {}

local FILE, MAX_SIZE = "relup.lua", 1 << 20
local PARTS = { before_swap = true, after_swap = true, before_swap_down = true, after_swap_down = true }
local OF = {
  up = { before = "before_swap", after = "after_swap" }, down = { before = "before_swap_down", after = "after_swap_down" },
}

local STEP_FIELDS = { name = "string", run = "function", undo = "function", prepare = "function", complete = "function",
  arguments = "function", dry_run = "boolean" }

local function read_text(path)
  local file <close>, message, code = core.open_plain(path)
  if not file then return nil, message, code end
  local about = core.file_stat(file)
  if not about or not about.trusted then
    return nil, ("%s is another user's, or others can write it. It runs on this machine, so only you or root may change it")
      :format(path), "not_private"
  end
  local text = file:read(MAX_SIZE + 1) or ""
  if #text > MAX_SIZE then return nil, ("%s has more than %d bytes"):format(path, MAX_SIZE), "limit" end
  return text
end

local function refuse(path, text, ...) return nil, ("%s: %s"):format(path, text:format(...)), "syntax" end

-- One step as a sequence takes it; its name says where it comes from where it has none.
local function step_of(path, part, position, value)
  if type(value) == "function" then value = { run = value } end
  if type(value) ~= "table" then
    return refuse(path, "step %d of %s is a %s, not a function or a table", position, part, type(value))
  end
  local step = {}
  for field, item in pairs(value) do
    local wanted = STEP_FIELDS[field]
    if not wanted then return refuse(path, "step %d of %s has a field %s, which no step has", position, part, tostring(field)) end
    if type(item) ~= wanted then
      return refuse(path, "step %d of %s: %s is a %s, not a %s", position, part, field, type(item), wanted)
    end
    step[field] = item
  end
  if not step.run then return refuse(path, "step %d of %s has no function run", position, part) end
  step.name = step.name or (position == 1 and part or ("%s_%d"):format(part, position))
  return step
end

local function steps_of(path, part, value)
  if value == nil then return {} end
  if type(value) == "function" or type(value) == "table" and value.run ~= nil then value = { value } end
  if type(value) ~= "table" then return refuse(path, "%s is a %s, not a step or a list of steps", part, type(value)) end
  local steps, count = {}, 0
  for _ in pairs(value) do count = count + 1 end
  if count ~= #value then return refuse(path, "%s is no step and no list of steps", part) end
  for i, one in ipairs(value) do
    local step, message, code = step_of(path, part, i, one)
    if not step then return nil, message, code end
    steps[i] = step
  end
  return steps
end

--- The relup.lua of a release: the one at the top of its folder. A tarball has none; say where it is.
-- @string path the release's
-- @return its path, or nil
function own_steps.find(path)
  local found = path .. "/" .. FILE
  local file = core.open_plain(found)
  if not file then return nil end
  file:close()
  return found
end

--- Reads the steps for one direction. All parts are checked, those of the other direction, too.
-- @string path of the file
-- @string direction "up" or "down"
-- @treturn[1] table `path`, `before` and `after`: lists of steps for right before and right behind the install
-- @return[2] nil, message, code: "syntax" where it is not what it should be, "lua" where it raises, "not_private", "missing"
function own_steps.read(path, direction)
  local wanted = OF[direction] or error("the direction is \"up\" or \"down\"", 2)
  local text, message, code = read_text(path)
  if not text then return nil, message, code end
  if text:sub(1, 1) == "\27" then return refuse(path, "it is compiled; only Lua's text is read") end
  local chunk
  chunk, message = load(text, "@" .. path, "t")
  if not chunk then return nil, message, "syntax" end
  local parts
  parts, message, code = attempt(chunk)
  if parts == nil and message then return nil, message, code end
  if type(parts) ~= "table" then return refuse(path, "it returns a %s, not a table", type(parts)) end
  local read = {}
  for part, value in pairs(parts) do
    if not PARTS[part] then
      return refuse(path, "it has %s, which is none of before_swap, after_swap, before_swap_down, after_swap_down",
        tostring(part))
    end
    read[part], message, code = steps_of(path, part, value)
    if not read[part] then return nil, message, code end
  end
  return { path = path, before = read[wanted.before] or {}, after = read[wanted.after] or {} }
end

return own_steps
