-- Files that the C module opens: whose they must be, what they must be, who else gets to see them.

local core = require "edeliver.relup.core"
local process = require "support.process"

local folder

before_each(function() folder = process.temporary_folder() end)
after_each(function() process.remove_folder(folder) end)

local function sh(command)
  return (process.output(("cd %s && umask 022 && { %s; } 2>&1"):format(process.quote(folder), command)))
end
local function at(name) return folder .. "/" .. name end

describe("a file of the C module", function()
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

describe("a folder of the C module", function()
  local function refused(path, code, words)
    local made, message, why = core.private_folder(path)
    assert.same({ nil, code }, { made, why })
    assert.truthy(message:find(words, 1, true), message)
  end

  it("is made for us alone, with those above it, and may be there already", function()
    assert.is_true(core.private_folder(at "a/b//c/"))
    assert.equal("700\n700\n700\n", sh "stat -c %a a a/b a/b/c")
    assert.is_true(core.private_folder(at "a/b/c"))
    sh "mkdir -p seen && ln -s seen link && ln -s ../a/b seen/up && ln -s $PWD/a whole"
    assert.is_true(core.private_folder(at "link")) -- others may look; our own links are followed
    assert.is_true(core.private_folder(at "link/up/d"))
    assert.is_true(core.private_folder(at "whole/e"))
    assert.equal("b\ne\nc\nd\n", sh "ls a a/b | grep -v :$ | grep .")
  end)

  it("is refused where others can write in it, and where it is none", function()
    sh "mkdir -m 770 group && mkdir -m 777 all && echo x >file && ln -s loop loop"
    refused(at "group", "not_private", "others can write in the folder")
    refused(at "all", "not_private", "chmod 700 it")
    refused(at "file", "not_plain", "is not a folder")
    refused(at "file/below", "not_plain", "is not a folder")
    refused(at "loop", "not_plain", "is not a folder")
    refused("relative", "not_plain", "is not an absolute path")
    refused(("/x"):rep(5000), "system", "File name too long")
    refused("/" .. ("x"):rep(300), "system", "File name too long")
  end)

  it("of another user is refused, and links of another user are not followed, by root least of all", function()
    if sh "id -u" ~= "0\n" then return end -- only root can give anything away
    sh "mkdir -p home/.local/state theirs elsewhere && chown -R 12345 home theirs"
    refused(at "theirs", "not_private", "belongs to another user (12345)")
    assert.is_true(core.private_folder(at "home/.local/state/edeliver-relup"))
    sh "rm -r home/.local/state && ln -s $PWD/elsewhere home/.local/state && chown -h 12345 home/.local/state"
    refused(at "home/.local/state/edeliver-relup", "not_private", "state is a symbolic link of another user (12345)")
    assert.equal("", sh "ls elsewhere")
  end)
end)
