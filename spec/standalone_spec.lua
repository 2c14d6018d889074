-- The program as one file, and Debian's package: made by their tools, and used where nothing else of ours is.

local node = require "support.node"
local process = require "support.process"

local quote = process.quote

local SCRIPT = [[
  local relup = require "edeliver.relup"
  local node <close> = assert(relup.connect(arg[1], { cookie = arg[2], epmd_port = tonumber(arg[3]) }))
  print(node:call("erlang", "node"), #node:suspended())
]]

-- What the dynamic linker would load for a program: a list of paths.
local function libraries_of(program)
  local paths = {}
  for path in process.output("ldd " .. quote(program)):gmatch "(/%S+) %(0x" do paths[#paths + 1] = path end
  return paths
end

describe("the program as one file", function()
  local root, erlang

  setup(function()
    local printed, built = process.output(quote(process.root .. "/tools/standalone") .. " 2>&1")
    assert(built, printed)
    erlang = node.start {}
    root = process.temporary_folder()
    local program = process.root .. "/build/edeliver-relup"
    os.execute(("mkdir %s/dev %s/tmp && touch %s/dev/null && cp %s %s/edeliver-relup"):format(quote(root), quote(root),
      quote(root), quote(program), quote(root)))
    for _, path in ipairs(libraries_of(program)) do
      os.execute(("mkdir -p %s && cp -L %s %s"):format(quote(root .. path:match "^(.*)/"), path, quote(root .. path)))
    end
    os.execute(("mkdir -p %s/etc && cp /etc/hosts /etc/nsswitch.conf %s/etc 2>/dev/null"):format(quote(root), quote(root)))
    local out = assert(io.open(root .. "/upgrade.lua", "w"))
    out:write(SCRIPT)
    out:close()
  end)

  teardown(function()
    erlang:stop()
    process.remove_folder(root)
  end)

  -- In a root that has nothing but the program and the libraries of libc.
  local function run(words, input)
    local chroot = process.output("id -u"):find "^0" and "chroot" or "unshare -r chroot"
    local command = ("printf %%s %s | %s %s /edeliver-relup %s 2>&1"):format(quote(input or ""), chroot, quote(root), words)
    return (process.output(command))
  end

  it("needs the libraries of libc alone, and less than 12 MB", function()
    local program = process.root .. "/build/edeliver-relup"
    for _, path in ipairs(libraries_of(program)) do
      assert.matches("^lib[cm]%.so%.6$", path:match "^/lib64/ld%-linux" and "libc.so.6" or path:match "[^/]*$")
    end
    assert.is_true(#assert(process.read_file(program)) < 12e6)
  end)

  it("runs in an empty root: its version, a script, the prompt", function()
    assert.equal("edeliver-relup " .. require "edeliver.relup.version", run("--version"):match "^[^\n]*")
    local arguments = ("%s %s %d"):format(erlang.name, erlang.cookie, erlang.epmd_port)
    assert.matches("^'" .. erlang.name:gsub("%p", "%%%0") .. "'\t0", run("run upgrade.lua " .. arguments))
    local cookie = assert(io.open(root .. "/cookie", "w"))
    cookie:write(erlang.cookie)
    cookie:close()
    os.execute("chmod 600 " .. quote(root .. "/cookie"))
    local repl = run(("%s repl --cookie-file /cookie --epmd-port %d"):format(erlang.name, erlang.epmd_port),
      "1 + 1\n:erlang:node()\nhelp 'resume_channels'\n")
    assert.matches("2\n", repl, 1, true)
    assert.matches(erlang.name, repl, 1, true)
    assert.matches("edeliver.relup.instructions.resume_channels", repl, 1, true)
  end)

  it("says where a script fails, and exits with 2", function()
    local out = assert(io.open(root .. "/bad.lua", "w"))
    out:write "local function fails() error 'no such thing' end\nfails()\n"
    out:close()
    local printed = run "run bad.lua"
    assert.matches("bad.lua:1: no such thing", printed, 1, true)
    assert.is_nil(printed:find "inside:/")
  end)
end)

describe("Debian's package", function()
  it("has the program, its manual page and its completions, and runs from its tree", function()
    local printed, built = process.output(quote(process.root .. "/tools/deb") .. " 2>&1")
    assert(built, printed)
    local folder = process.temporary_folder()
    local package = printed:match "built (build/%S+%.deb)"
    assert.is_true(os.execute(("dpkg-deb -x %s %s"):format(quote(process.root .. "/" .. package), quote(folder))))
    local version = process.output(("cd / && env -i PATH=\"$PATH\" %s/usr/bin/edeliver-relup --version"):format(quote(folder)))
    assert.equal("edeliver-relup " .. require "edeliver.relup.version", version:match "^[^\n]*")
    for _, name in ipairs {
      "man/man1/edeliver-relup.1.gz", "bash-completion/completions/edeliver-relup", "zsh/vendor-completions/_edeliver-relup",
      "fish/vendor_completions.d/edeliver-relup.fish", "doc/edeliver-relup/copyright",
    } do
      assert.truthy(process.read_file(folder .. "/usr/share/" .. name), name)
    end
    local control = process.output("dpkg-deb -f " .. quote(process.root .. "/" .. package))
    assert.matches("Depends: .*lua5%.4.*libssl3", control)
    process.remove_folder(folder)
  end)
end)
