-- A busted helper (.busted): whatever a test or a spec file leaves behind in this process is a failure of its own, which names
-- what stays and since when.
--
-- After each test, all garbage collected,
--   * each descriptor has an owner, an open file or connection that Lua can reach;
--   * no open file and no userdata of ours is held by anything but the spec: not by the registry, not by the product's modules.
-- So what tests share, from `setup` on or from the first that wants it, needs no exception. And at the end of each file
--   * every socket has been closed by word, not by the collector;
--   * when busted has forgotten the file, and the file's support modules are gone (they share an epmd), the descriptors are those
--     of its beginning, and none of our userdata is left.

local busted = require "busted"
local leaks = require "support.leaks"

-- What libuv opens once for a whole process, and keeps, is open from the beginning.
do
  local uv = require "luv"
  local handle, pipe = nil, uv.new_pipe()
  handle = uv.spawn("true", { stdio = { pipe } }, function()
    handle:close()
    pipe:close()
  end)
  uv.run()
end

local file_name
local known, open_before -- objects and descriptors that were there when the file began
local ownerless -- how many descriptors no object owns: those that the program was started with
local opened_in -- by target: the test in which a descriptor was first seen

local function full_name(element)
  local name = element.name or element.descriptor
  local parent = busted.parent(element)
  return parent and parent.descriptor ~= "file" and full_name(parent) .. " " .. name or name
end

-- An error of an element of our own: busted has printed the test's result already.
local function complain(name, left, trace)
  if #left == 0 then return end
  trace = trace or { short_src = file_name, currentline = 0 }
  busted.publish({ "error" }, { descriptor = "leak check", name = name .. " leaves nothing behind", trace = trace }, nil,
    table.concat(left, "\n"), trace)
end

local function add_descriptors(left, kind)
  for descriptor, target in pairs(leaks.descriptors()) do
    if open_before[descriptor] ~= target and target:find(kind) then
      left[#left + 1] = ("descriptor %d, %s, open since: %s"):format(descriptor, target, opened_in[target] or "no test")
    end
  end
end

local function add_objects(left, found)
  for _, one in ipairs(found) do
    if not known[one.object] and not one.by_spec then
      known[one.object] = true
      left[#left + 1] = ("a userdata, %s, held by: %s"):format(one.name, one.path)
    end
  end
end

-- How many of these descriptors no object owns.
local function count_ownerless(descriptors, found)
  local total = 0
  for _ in pairs(descriptors) do total = total + 1 end
  for _, one in ipairs(found) do total = total - (one.open and 1 or 0) end
  return total
end

-- Busted keeps each test that has run, with all that it has closed over, until the end of the run.
local function forget(element)
  local children = busted.children(element)
  for i = #children, 1, -1 do
    forget(children[i])
    children[i].run = nil
    children[i] = nil
  end
  for key, value in pairs(element) do
    if type(value) == "table" and key ~= "run" and key ~= "attributes" and key ~= "trace" then element[key] = nil end
  end
end

local function forget_support()
  for name in pairs(package.loaded) do
    if name:find "^support%." and not name:find "^support%.leak" then package.loaded[name] = nil end
  end
end

busted.subscribe({ "file", "start" }, function(file)
  leaks.collect()
  file_name, opened_in, open_before, known = file.name, {}, leaks.descriptors(), setmetatable({}, { __mode = "k" })
  local found = leaks.reachable()
  for _, one in ipairs(found) do known[one.object] = true end
  ownerless = count_ownerless(open_before, found)
  return nil, true
end)

busted.subscribe({ "test", "end" }, function(test)
  leaks.collect()
  local left, open, found = {}, leaks.descriptors(), leaks.reachable()
  local more = count_ownerless(open, found) - ownerless
  if more > 0 then
    left[1] = ("%d descriptors without an owner, of these:"):format(more)
    for descriptor, target in pairs(open) do
      local is_new = open_before[descriptor] ~= target and not opened_in[target]
      if is_new then left[#left + 1] = ("%d, %s"):format(descriptor, target) end
    end
  end
  ownerless = ownerless + more
  add_objects(left, found)
  for _, target in pairs(open) do opened_in[target] = opened_in[target] or full_name(test) end
  complain(full_name(test), left, test.trace)
  return nil, true
end)

busted.subscribe({ "file", "end" }, function(file)
  local left = {}
  leaks.collect()
  add_descriptors(left, "^socket:")
  forget(file)
  forget_support()
  leaks.collect()
  if #left == 0 then add_descriptors(left, "") end
  add_objects(left, leaks.reachable())
  complain(file.name, left)
  return nil, true
end)
