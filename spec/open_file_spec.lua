-- Files that the C module opens: whose they must be, what they must be, who else gets to see them.

local core = require "edeliver.relup.core"
local process = require "support.process"

describe("a file of the C module", function()
  local folder

  before_each(function() folder = process.temporary_folder() end)
  after_each(function() process.remove_folder(folder) end)

  local function sh(command)
    return (process.output(("cd %s && umask 022 && { %s; } 2>&1"):format(process.quote(folder), command)))
  end
  local function at(name) return folder .. "/" .. name end

  it("is made for us alone, whatever the umask, and no program that we start inherits it", function()
    for _, mode in ipairs { "new", "w", "a", "a+" } do
      local file = assert(core.open_private(at("made-" .. mode), mode))
      file:write "secret\n"
      local about = core.file_stat(file)
      assert.same({ 0x180, true, true, true, true },
        { about.mode, about.ours, about.private, about.trusted, about.plain })
      assert.falsy(process.output("ls -l /proc/self/fd"):find(at "made", 1, true))
      assert.is_true(file:close())
      assert.equal("secret\n", process.read_file(at("made-" .. mode)))
    end
  end)

  it("is read, emptied or gone on with, as is asked for", function()
    sh "umask 077; echo one >it"
    local appended = assert(core.open_private(at "it", "a+"))
    assert.equal("one", appended:read "l")
    appended:write "two\n"
    appended:close()
    assert.equal("one\ntwo\n", assert(core.open_private(at "it")):read "a")
    assert(core.open_private(at "it", "w")):close()
    assert.equal("", process.read_file(at "it"))
  end)

  it("is refused where it is not what it must be", function()
    sh "umask 077; echo x >plain; ln -s plain link; mkdir folder; mkfifo pipe; umask 022; echo x >seen; umask 0; echo x >shared"
    for _, case in ipairs {
      { "plain", "new", "exists", "File exists" },
      { "link", "w", "system", "symbolic link" }, { "link", "a", "system", "symbolic link" },
      { "nothing", "r", "missing", "No such file" },
      { "folder", "r", "not_plain", "not a plain file" }, { "folder", "a", "not_plain", "not a plain file" },
      { "pipe", "r", "not_plain", "not a plain file" }, { "pipe", "a", "not_plain", "not a plain file" },
      { "seen", "r", "not_private", "mode 0644" }, { "shared", "w", "not_private", "mode 0666" },
    } do
      local file, message, code = core.open_private(at(case[1]), case[2])
      assert.same({ nil, case[3] }, { file, code })
      assert.truthy(message:find(case[4], 1, true), message)
    end
    assert.equal("x\n", process.read_file(at "shared"))
    assert.equal("x\n", core.open_private(at "link", "r"):read "a") -- what a link leads to is looked at, and read
  end)

  it("is refused where it is somebody else's, also to root", function()
    if sh "id -u" ~= "0\n" then return end -- only root can give a file away
    sh "umask 077; echo x >theirs; chown 12345 theirs"
    local file, message, code = core.open_private(at "theirs")
    assert.same({ nil, "not_private" }, { file, code })
    assert.truthy(message:find("another user (12345)", 1, true), message)
    assert.is_false(core.file_stat(assert(core.open_plain(at "theirs"))).ours)
  end)

  it("may be anybody's where it is only read, but neither a folder nor a pipe", function()
    sh "echo x >seen; mkdir folder; mkfifo pipe; umask 0; echo x >shared"
    local about = core.file_stat(assert(core.open_plain(at "seen")))
    assert.same({ false, true, 2 }, { about.private, about.trusted, about.size })
    assert.is_false(core.file_stat(assert(core.open_plain(at "shared"))).trusted)
    assert.equal("not_plain", select(3, core.open_plain(at "folder")))
    assert.equal("not_plain", select(3, core.open_plain(at "pipe")))
    assert.equal("missing", select(3, core.open_plain(at "nothing")))
  end)
end)
