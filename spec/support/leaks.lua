--- What this process holds: its open descriptors, and the open files and userdata of ours that Lua can reach.
-- It only looks; leak_check.lua decides what is too much. Of the product it knows that the names of its C types begin with
-- "edeliver.relup.", and that a connection has a `pollfd` while it is open.

local lfs = require "lfs"

local leaks = {}

--- Collects all garbage, that which finalizers leave too.
function leaks.collect()
  for _ = 1, 3 do collectgarbage() end
end

--- The open descriptors of this process: `{ [descriptor] = target }`, a target being "socket:[inode]", "pipe:[inode]", a path.
function leaks.descriptors()
  local open = {}
  for name in lfs.dir "/proc/self/fd" do
    -- The folder's own descriptor, which is closed when the loop is done, leads to a path that ends like this.
    local target = tonumber(name) and lfs.symlinkattributes("/proc/self/fd/" .. name, "target")
    if target and not target:find "^/proc/%d+/fd$" then open[tonumber(name)] = target end
  end
  return open
end

--- How many descriptors are open when all garbage has been collected.
function leaks.count_descriptors()
  leaks.collect()
  local count = 0
  for _ in pairs(leaks.descriptors()) do count = count + 1 end
  return count
end

-- Each gives `visit` whatever an object holds, with a word for how. What is held weakly is not held.
local holds = {}

function holds.table(object, visit)
  local metatable = debug.getmetatable(object)
  local mode = metatable and rawget(metatable, "__mode") or ""
  for key, value in next, object do
    if not mode:find "k" then visit(key, "key") end
    if not mode:find "v" then visit(value, key) end
  end
end

holds["function"] = function(object, visit)
  for i = 1, 255 do
    local name, value = debug.getupvalue(object, i)
    if not name then break end
    visit(value, name)
  end
end

function holds.userdata(object, visit)
  for i = 1, 255 do
    local value, exists = debug.getuservalue(object, i)
    if not exists then break end
    visit(value, "user value")
  end
end

local of_spec = setmetatable({}, { __mode = "k" })

-- Functions of the specs and their support, by the names under which busted and `require` load them.
local function is_of_a_spec(object)
  if type(object) ~= "function" then return false end
  if of_spec[object] == nil then
    local source = debug.getinfo(object, "S").source
    of_spec[object] = source:find "_spec%.lua$" ~= nil or source:find "/support/[%w_]+%.lua$" ~= nil
  end
  return of_spec[object]
end

-- Gives true where it has left out the variables of specs that are running.
function holds.thread(object, visit, without_specs)
  local level, frame, left_out = 0, debug.getinfo(object, 0, "f"), false
  while frame do
    visit(frame.func, "running")
    local leave_out = without_specs and is_of_a_spec(frame.func)
    left_out = left_out or leave_out
    for _, step in ipairs(leave_out and {} or { 1, -1 }) do -- variables, then the arguments behind "..."
      local i = step
      local name, value = debug.getlocal(object, level, i) -- here, not in a function: that would be one more level
      while name do
        visit(value, name)
        i = i + step
        name, value = debug.getlocal(object, level, i)
      end
    end
    level = level + 1
    frame = debug.getinfo(object, level, "f")
  end
  return left_out
end

local function type_name(object)
  local metatable = type(object) == "userdata" and debug.getmetatable(object)
  local name = metatable and rawget(metatable, "__name")
  return type(name) == "string" and name or ""
end

local function owns_descriptor(object, name)
  if name == "FILE*" then return io.type(object) == "file" end
  return name == "edeliver.relup.connection" and object:pollfd() ~= nil
end

local function path_to(object, from, how)
  local words = {}
  while from[object] do
    table.insert(words, 1, (tostring(how[object]):gsub("%c", "?")))
    object = from[object]
  end
  return table.concat(words, " > ")
end

--- Walks over everything that Lua can reach and finds our userdata and open files.
-- @treturn table `{ object =, name =, path =, by_spec =, open = }` each. `path` says in words what holds it, `by_spec` that
-- nothing does but functions of specs, `open` that it owns a descriptor.
function leaks.reachable()
  local from, how, queue, of_specs, found = {}, {}, {}, {}, {}
  local seen = { [from] = true, [how] = true, [queue] = true, [of_specs] = true, [found] = true }
  seen[seen] = true
  local current
  local function visit(object, word)
    if not holds[type(object)] or seen[object] then return end
    seen[object], from[object], how[object] = true, current, word
    local list = not of_specs.turn and is_of_a_spec(object) and of_specs or queue
    list[#list + 1] = object
  end

  local done = 0
  local function walk()
    while done < #queue do
      done = done + 1
      current = queue[done]
      local name = type_name(current)
      local open = owns_descriptor(current, name)
      if open or name:find "^edeliver%.relup%." then
        local path = path_to(current, from, how)
        found[#found + 1] = { object = current, name = name, path = path, by_spec = of_specs.turn, open = open }
      end
      visit(debug.getmetatable(current), "metatable")
      if holds[type(current)](current, visit, not of_specs.turn) then of_specs[#of_specs + 1] = current end
    end
  end

  visit(debug.getregistry(), "registry")
  for _, value in ipairs { "", 0, false, print } do visit(debug.getmetatable(value), "metatable") end
  walk()
  of_specs.turn = true
  table.move(of_specs, 1, #of_specs, #queue + 1, queue)
  walk()
  return found
end

return leaks
