--- The folder on a node where its release handler keeps releases and looks for tarballs.
--
-- @module edeliver.relup.otp.release_folder

local shape = require "edeliver.relup.node.shape"
local term = require "edeliver.relup.term"

local release_folder = {}

local atom, charlist = term.atom, term.charlist
local SET = shape.either(shape.is(atom "undefined"), shape.tuple(shape.is(atom "ok"), shape.text))
local VARIABLE = shape.either(shape.is(false), shape.text)

--- The folder that releases are unpacked into: the root of the node's installation.
-- @return[1] string
-- @return[2] nil, message, code
function release_folder.root(node)
  local root, message, code = shape.expect(node, "code:root_dir", shape.text, node:call("code", "root_dir"))
  if root == nil then return nil, message, code end
  return shape.to_text(root)
end

--- Its path, found as release_handler does: sasl's `releases_dir`, RELDIR, or below the root.
-- @return[1] string
-- @return[2] nil, message, code
function release_folder.path(node)
  local set, message, code = shape.expect(node, "application:get_env", SET,
    node:call("application", "get_env", { atom "sasl", atom "releases_dir" }))
  if not set then return nil, message, code end
  if term.kind(set) == "tuple" then return shape.to_text(set[2]) end
  local variable
  variable, message, code = shape.expect(node, "os:getenv", VARIABLE, node:call("os", "getenv", { charlist "RELDIR" }))
  if variable == nil then return nil, message, code end
  if variable then return shape.to_text(variable) end
  local root
  root, message, code = release_folder.root(node)
  if not root then return nil, message, code end
  return root .. "/releases"
end

--- The tarballs in it, and in the folders of versions below it.
-- @return[1] a list of names
-- @return[2] nil, message, code
function release_folder.tarballs(node)
  local path, message, code = release_folder.path(node)
  if not path then return nil, message, code end
  local found = {}
  for _, pattern in ipairs { "*.tar.gz", "*/*.tar.gz" } do
    local names
    names, message, code = shape.expect(node, "filelib:wildcard", shape.list(shape.text),
      node:call("filelib", "wildcard", { charlist(pattern), charlist(path) }))
    if not names then return nil, message, code end
    for _, name in ipairs(names) do found[#found + 1] = shape.to_text(name) end
  end
  return found
end

-- `{error, Reason}` of Erlang's file functions as nil, message, code.
local function checked(node, fun, path, answer, message, code)
  if answer == nil then return nil, message, code end
  if term.kind(answer) == "tuple" and answer[1] == atom "error" then
    return nil, ("file:%s of %s on %s: %s"):format(fun, path, node.name, term.format(answer[2])), "system"
  end
  return answer
end

--- Calls a function of Erlang's `file` on a path.
-- @return[1] its answer
-- @return[2] nil, message, code
function release_folder.file(node, fun, path, ...)
  return checked(node, fun, path, node:call("file", fun, { charlist(path), ... }, 60000))
end

--- The MD5 sum of a file on the node, in hexadecimal digits.
-- @return[1] string
-- @return[2] nil, message, code
function release_folder.md5(node, path)
  local sum, message, code = shape.expect(node, "the sum of a file", shape.binary,
    node:run("file_md5", { Path = charlist(path) }, 300000))
  if not sum then return nil, message, code end
  return (sum:gsub(".", function(byte) return ("%02x"):format(byte:byte()) end))
end

local CONTENT = shape.tuple(shape.is(atom "ok"), shape.binary)
local NONE = shape.tuple(shape.is(atom "error"), shape.is(atom "enoent"))

--- Reads a file below the release folder.
-- @param node
-- @string name as "1.4.6/sys.config"
-- @return[1] its text; false where there is no such file
-- @return[2] nil, message, code
function release_folder.read(node, name)
  local path, message, code = release_folder.path(node)
  if not path then return nil, message, code end
  local answer
  answer, message, code = node:call("file", "read_file", { charlist(path .. "/" .. name) }, 60000)
  if answer == nil then return nil, message, code end
  if CONTENT(answer) then return answer[2] end
  if NONE(answer) then return false end
  return nil, ("releases/%s on %s cannot be read: %s"):format(name, node.name, term.format(answer)), "system"
end

--- Whether a file is there.
-- @return[1] boolean
-- @return[2] nil, message, code
function release_folder.exists(node, path)
  local answer, message, code = node:call("file", "read_file_info", { charlist(path) })
  if answer == nil then return nil, message, code end
  return term.kind(answer) == "tuple" and answer[1] == atom "ok"
end

return release_folder
