-- tools/test, run as a developer does.

local process = require "support.process"

describe("tools/test", function()
  local ROOT = process.quote(process.root)

  it("hands a filter with blanks on as it is", function()
    local printed, good = process.output(
      ("cd %s && tools/test lua spec/base --filter='a number of things reads' 2>&1"):format(ROOT))
    assert.is_true(good, printed)
    assert.matches("\nok 1 - a number of things reads as English does\n", printed, 1, true)
    assert.matches("\n1 passed, 0 failed\n$", printed)
  end)

  it("fails where no spec is meant", function()
    local printed, good = process.output(("cd %s && tools/test lua spec/base --filter='no such spec' 2>&1"):format(ROOT))
    assert.is_nil(good)
    assert.matches("\n0 passed, 1 failed\n$", printed)
  end)

  it("shows what a spec has printed, also where that is no text", function()
    local folder = process.temporary_folder()
    finally(function() process.remove_folder(folder) end)
    local path = folder .. "/some_spec.lua"
    local file <close> = assert(io.open(path, "w"))
    file:write [[it("prints", function() io.write "\0\255\n" end)]]
    file:close()
    local printed, good = process.output(("cd %s && tools/test lua %s 2>&1"):format(ROOT, process.quote(path)))
    assert.is_true(good, printed)
    assert.matches("\nok 1 - prints\n", printed, 1, true)
    assert.matches("\n1 passed, 0 failed\n$", printed)
  end)

  it("counts its own specs where another runs beside it", function()
    local printed = process.output(("cd %s && for words in escape.utf8 'leaves text alone'; do "
      .. "tools/test lua spec/base --filter=\"$words\" 2>&1 | tail -n 2 & done; wait"):format(ROOT))
    local _, count = printed:gsub("1 passed, 0 failed\n", "")
    assert.equal(2, count, printed)
  end)
end)

-- .ci/run as it is, with tools that only say how they end.
describe(".ci/run", function()
  local folder

  local function write(name, script)
    local file <close> = assert(io.open(folder .. "/" .. name, "w"))
    file:write(script)
  end

  local function run(tests, lint)
    write("tools/test", "#!/bin/sh\n" .. tests .. "\n")
    write("tools/lint", "#!/bin/sh\n" .. lint .. "\n")
    return process.output(("chmod +x %s/tools/*; %s/.ci/run 2>&1"):format(folder, folder))
  end

  setup(function()
    folder = process.temporary_folder()
    local root = process.quote(process.root)
    process.shell("mkdir %s/tools %s/.ci && cp %s/.ci/run %s/.ci && cp %s/tools/lib.sh %s/tools", folder, folder, root, folder,
      root, folder)
    for _, name in ipairs { "setup", "fuzz", "matrix", "newcomer" } do
      write("tools/" .. name, "#!/bin/sh\necho " .. name .. "\n")
    end
  end)

  teardown(function() process.remove_folder(folder) end)

  it("counts each check beside the tests as one, and ends well where all have passed", function()
    local printed, good = run("echo 5 passed, 0 failed", "exit 0")
    assert.is_true(good, printed)
    assert.matches("\n== tools/matrix .*\nmatrix\n.*\n9 passed, 0 failed\n$", printed)
  end)

  it("fails where tests failed, where they ended without a count, and where a check failed", function()
    for _, case in ipairs {
      { "echo 4 passed, 1 failed; exit 1", "exit 0", "8 passed, 1 failed" },
      { "exit 1", "exit 0", "4 passed, 1 failed" },
      { "echo 5 passed, 0 failed", "exit 3", "8 passed, 1 failed" },
    } do
      local printed, good = run(case[1], case[2])
      assert.is_nil(good)
      assert.matches("\n" .. case[3] .. "\n$", printed)
    end
  end)
end)
