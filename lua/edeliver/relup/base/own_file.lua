--- The files of edeliver-relup itself: on the disk, or inside the program that carries them (src/standalone).
--
-- @module edeliver.relup.base.own_file

local own_file = {}

--- What the path of a file begins with that the program carries.
own_file.INSIDE = "inside:/"

-- Set by the program that carries files: a function of a name below INSIDE that gives a text, or nil.
local inside = package.preload["edeliver.relup.inside"]

--- Whether this is the program as one file.
own_file.is_inside = inside ~= nil

--- Reads one of our own files.
-- @string path as `path_of` gives it, or as `debug.getinfo` has it in `source`
-- @return[1] its text
-- @return[2] nil, message
function own_file.read(path)
  if path:sub(1, #own_file.INSIDE) == own_file.INSIDE then
    local text = inside and inside(path:sub(#own_file.INSIDE + 1))
    if text then return text end
    return nil, path .. ": No such file"
  end
  local file <close>, message = io.open(path, "rb")
  if not file then return nil, message end
  return file:read "a"
end

--- Where a module's text is.
-- @string name as `require` takes it
-- @return a path, or nil
function own_file.path_of(name)
  local path = name:gsub("%.", "/")
  for _, found in ipairs(inside and { path .. ".lua", path .. "/init.lua" } or {}) do
    if inside(found) then return own_file.INSIDE .. found end
  end
  return (package.searchpath(name, package.path))
end

return own_file
