-- The rock, as people get it: made in the checkout, packed, served from a folder, installed from there, and used.

local process = require "support.process"
local node = require "support.node"

local quote = process.quote

-- A copy of the checkout without what was built in it, so that a build leaves the checkout alone.
local function copy_of_checkout(folder)
  local left_out = ""
  for _, name in ipairs { "build", "build.luarocks", ".git", ".luarocks", "lua_modules" } do
    left_out = left_out .. " --exclude=./" .. name
  end
  local copied = os.execute(("cd %s && tar%s -cf - . | tar -xf - -C %s"):format(quote(process.root), left_out, quote(folder)))
  assert.is_true(copied)
end

-- Rocks that Debian's packages provide are not to be looked for on a server. A rock is built for the machine's own Lua, whatever
-- runs this spec.
local function luarocks(folder, program, arguments)
  local config, path = process.root .. "/.luarocks/config-5.4.lua", os.getenv "EDR_PATH" or os.getenv "PATH"
  local printed, succeeded = process.output(("cd %s && PATH=%s LUAROCKS_CONFIG=%s %s --lua-version 5.4 %s 2>&1"):format(
    quote(folder), quote(path), quote(config), program, arguments))
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

-- Every name that the program may ask for: recorded in a whole session, and what LuaRocks' own loader is made of.
local RECORD = [[
  local names, seen, exit, list = {}, {}, os.exit, table.remove(arg)
  table.insert(package.searchers, 2, function(name)
    if not seen[name] then names[#names + 1], seen[name] = name, true end
  end)
  function os.exit(...)
    local out = assert(io.open(list, "w"))
    out:write(table.concat(names, "\n"), "\n")
    out:close()
    return exit(...)
  end
  arg[0] = table.remove(arg, 1)
  dofile(arg[0])
]]

local function names_required(folder, erlang)
  local script, list = folder .. "/record.lua", folder .. "/names"
  local out = assert(io.open(script, "w"))
  out:write(RECORD)
  out:close()
  local command = erlang:operator_command { "lua5.4", script, process.root .. "/bin/edeliver-relup", erlang.name, "repl" }
  process.output(("cd / && echo 'help \"node\"' | LUA_PATH=%s LUA_CPATH=%s %s %s"):format(quote(package.path),
    quote(package.cpath), command, quote(list)))
  local names = {}
  for name in (process.read_file(list) or ""):gmatch "[^\n]+" do names[#names + 1] = name end
  local rocks = process.output "find /usr/share/lua /usr/local/share/lua -path '*/luarocks/*.lua' 2>/dev/null"
  for path in rocks:gmatch "(luarocks/[^\n]-)%.lua\n" do names[#names + 1] = path:gsub("/", ".") end
  for _, more in ipairs { "readline", "luarocks.core.hardcoded", "luarocks.site_config" } do names[#names + 1] = more end
  return names
end

-- A folder with a Lua file and a C module of each of these names, all of which tell that they were loaded.
local function plant(folder, names)
  local told = folder .. "/loaded"
  os.execute("mkdir -p " .. quote(folder))
  local function write(path, text)
    os.execute("mkdir -p " .. quote(path:match "^(.*)/"))
    local out = assert(io.open(path, "w"))
    out:write(text)
    out:close()
  end
  write(folder .. "/plant.c", ([[
    #include <stdio.h>
    __attribute__((constructor)) static void loaded(void) {
      FILE *file = fopen("%s", "a");
      if (file) { fputs("a C module\n", file); fclose(file); }
    }]]):format(told))
  assert.is_true(os.execute(("cc -shared -fPIC -o %s/plant.so %s/plant.c"):format(quote(folder), quote(folder))))
  for _, name in ipairs(names) do
    local path = folder .. "/" .. name:gsub("%.", "/")
    local text = ("local file = io.open(%q, 'a') file:write(%q, '\\n') file:close() return {}"):format(told, name)
    write(path .. ".lua", text)
    write(path .. "/init.lua", text)
    os.execute(("ln -f %s/plant.so %s.so"):format(quote(folder), quote(path)))
  end
  return told
end

describe("the rock", function()
  local folder, erlang, planted, told

  setup(function()
    folder = process.temporary_folder()
    os.execute(("mkdir -p %s/source %s/server"):format(quote(folder), quote(folder)))
    copy_of_checkout(folder .. "/source")
    erlang = node.start {}
    planted = folder .. "/planted"
    local names = names_required(folder, erlang)
    assert.is_true(#names > 100, "only " .. #names)
    told = plant(planted, names)
  end)

  teardown(function()
    erlang:stop()
    process.remove_folder(folder)
  end)

  -- Started in the folder with the planted files, also by somebody whose LUA_PATH is LuaRocks' usual one.
  local function loads_nothing_planted(program)
    for _, paths in ipairs { "env -u LUA_PATH -u LUA_CPATH", "env LUA_PATH='./?.lua;./?/init.lua;;' LUA_CPATH='./?.so;;'" } do
      local line = ("cd %s && echo '1 + 1' | %s %s 2>&1"):format(quote(planted), paths,
        erlang:operator_command { program, erlang.name, "repl" })
      local printed = process.output(line)
      assert.is_nil(process.read_file(told), process.read_file(told))
      assert.matches("\n2\n", "\n" .. printed, 1, true)
    end
  end

  it("would be caught: the plants tell of everything that is loaded from a folder", function()
    for _, name in ipairs { "edeliver.relup.cli", "edeliver.relup.core", "lpeg", "term.core", "luarocks.core.hardcoded" } do
      for _, paths in ipairs { "path, package.cpath = './?.lua', ''", "path, package.cpath = '', './?.so'" } do
        process.output(("cd %s && lua5.4 -e %s 2>&1"):format(quote(planted),
          quote(("package.%s require %q"):format(paths, name))))
        assert.truthy(process.read_file(told), name .. " with " .. paths)
        os.remove(told)
      end
    end
  end)

  it("runs from the checkout, and nothing of the folder that it is started in", function()
    loads_nothing_planted(process.root .. "/bin/edeliver-relup")
    local link = folder .. "/link"
    os.execute(("ln -s %s %s"):format(quote(process.root .. "/bin/edeliver-relup"), quote(link)))
    loads_nothing_planted(link)
  end)

  local function works_from(tree)
    loads_nothing_planted(tree .. "/bin/edeliver-relup")
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

  it("is packed with what was built, and installed where nothing can be built", function()
    local tree = folder .. "/binary"
    luarocks(folder, "luarocks", ("pack edeliver-relup --tree %s"):format(quote(folder .. "/made")))
    local rock = process.output(("ls %s/*.linux-*.rock"):format(quote(folder))):match "[^\n]+"
    luarocks(folder, "env CC=false luarocks", ("install %s --tree %s EI_DIR=/nowhere"):format(quote(rock), quote(tree)))
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
