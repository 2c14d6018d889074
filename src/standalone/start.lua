-- What bin/edeliver-relup is to a checkout: our modules come from inside the program, those of a script from absolute paths alone.

local inside = package.preload["edeliver.relup.inside"]

-- Before the files on the disk: an edeliver-relup that is installed there is another one.
table.insert(package.searchers, 2, function(name)
  local path = name:gsub("%.", "/")
  for _, found in ipairs { path .. ".lua", path .. "/init.lua" } do
    local text = inside(found)
    if text then return assert(load(text, "@inside:/" .. found, "t")), "inside:/" .. found end
  end
  return ("\n\tno file '%s' inside the program"):format(path)
end)

local function without_relative(templates)
  local kept = {}
  for template in templates:gmatch "[^;]+" do
    if template:sub(1, 1) == "/" then kept[#kept + 1] = template end
  end
  return table.concat(kept, ";")
end

package.path, package.cpath = without_relative(package.path), without_relative(package.cpath)

-- A rollout starts this program once for each node.
if arg[1] == "rollout-worker" then require("edeliver.relup.cluster.worker").main() end

local function explain(problem)
  if tostring(problem):find "interrupted!$" then return "edeliver-relup: interrupted" end
  return debug.traceback(tostring(problem), 2)
end

local ran, code = xpcall(function() return require("edeliver.relup.cli").main(arg) end, explain)
if not ran then io.stderr:write(code, "\n") end
return ran and code or 2
