-- The rock, as people get it: made in the checkout, packed, served from a folder, installed from there, and used.

local process = require "support.process"
local node = require "support.node"

local quote = process.quote

-- A copy of what git knows, so that a build in it leaves the checkout alone.
local function copy_of_checkout(folder)
  local copied = os.execute(("cd %s && git ls-files -z --cached --others --exclude-standard | "
    .. "tar --null --ignore-failed-read -cf - -T - 2>/dev/null | tar -xf - -C %s"):format(quote(process.root), quote(folder)))
  assert.is_true(copied)
end

-- Rocks that Debian's packages provide are not to be looked for on a server.
local function luarocks(folder, program, arguments)
  local config = process.root .. "/.luarocks/config-5.4.lua"
  local printed, succeeded = process.output(("cd %s && LUAROCKS_CONFIG=%s %s --lua-version 5.4 %s 2>&1"):format(
    quote(folder), quote(config), program, arguments))
  assert(succeeded, printed)
  return printed
end

local function lua_in(tree, script, ...)
  local words = {}
  for i, word in ipairs { ... } do words[i] = quote(word) end
  local file = tree .. "/script.lua"
  local out = assert(io.open(file, "w"))
  out:write(script)
  out:close()
  local printed = process.output(("cd / && LUA_PATH=%s LUA_CPATH=%s lua5.4 %s %s 2>&1"):format(
    quote(tree .. "/share/lua/5.4/?.lua;" .. tree .. "/share/lua/5.4/?/init.lua;;"),
    quote(tree .. "/lib/lua/5.4/?.so;;"), quote(file), table.concat(words, " ")))
  return printed
end

local ASK = [[
  local relup = require "edeliver.relup"
  local node <close> = assert(relup.connect(arg[1], { cookie = arg[2], epmd_port = tonumber(arg[3]) }))
  io.write(tostring(node:call("erlang", "node")))
]]

describe("the rock", function()
  local folder, erlang

  setup(function()
    folder = process.temporary_folder()
    os.execute(("mkdir -p %s/source %s/server"):format(quote(folder), quote(folder)))
    copy_of_checkout(folder .. "/source")
    erlang = node.start {}
  end)

  teardown(function()
    erlang:stop()
    process.remove_folder(folder)
  end)

  local function works_from(tree)
    assert.equal("'" .. erlang.name .. "'", lua_in(tree, ASK, erlang.name, erlang.cookie, tostring(erlang.epmd_port)))
    local help = process.output(quote(tree .. "/bin/edeliver-relup") .. " --help")
    assert.matches("Usage: edeliver%-relup", help)
    assert.truthy(process.read_file(tree .. "/share/lua/5.4/edeliver/relup/instructions/resume_channels.lua"))
  end

  it("is made in the checkout, and works from its tree", function()
    local tree = folder .. "/made"
    luarocks(folder .. "/source", "luarocks", "make --tree " .. quote(tree))
    works_from(tree)
  end)

  it("is packed, served from a folder, and installed from there", function()
    local source, server, tree = folder .. "/source", folder .. "/server", folder .. "/installed"
    -- A source rock builds where it is installed; here its source is a tarball in the folder, not a git address.
    local archive = server .. "/edeliver-relup.tar.gz"
    assert.is_true(os.execute(("cd %s && tar -czf %s --transform 's,^\\.,edeliver-relup,' --exclude ./build.luarocks ."):format(
      quote(source), quote(archive))))
    local rockspec = assert(process.read_file(source .. "/rockspec/edeliver-relup-scm-1.rockspec"))
    local changed, count = rockspec:gsub('url = "[^"]*"', ('url = "file://%s", dir = "edeliver-relup"'):format(archive))
    assert.equal(1, count)
    local path = server .. "/edeliver-relup-scm-1.rockspec"
    local out = assert(io.open(path, "w"))
    out:write(changed)
    out:close()
    luarocks(server, "luarocks", "pack edeliver-relup-scm-1.rockspec")
    assert.truthy(process.read_file(server .. "/edeliver-relup-scm-1.src.rock"))
    os.remove(path)
    luarocks(server, "luarocks-admin", "make-manifest " .. quote(server))
    luarocks(folder, "luarocks", ("install --only-server=%s --tree %s edeliver-relup"):format(quote(server), quote(tree)))
    works_from(tree)
  end)
end)
