-- Archives as GNU tar and Erlang's erl_tar make them, read in pieces: the same names, kinds and contents as in the folder that
-- they were made of; and archives that are closed, damaged, or whose bytes cannot be had.

local core = require "edeliver.relup.core"
local process = require "support.process"

local quote = process.quote

describe("the core's archives", function()
  local folder
  local LONG = ("d"):rep(90) .. "/" .. ("e"):rep(90) .. "/" .. ("f"):rep(90)

  setup(function()
    folder = process.temporary_folder()
    assert(os.execute(("cd %s && mkdir -p tree/%s tree/empty && head -c 100000 /dev/urandom > tree/big "
      .. "&& printf x > tree/%s/small && : > tree/none && ln -s big tree/link && ln tree/big tree/same")
      :format(quote(folder), LONG, LONG)))
  end)
  teardown(function() process.remove_folder(folder) end)

  local function pieces(bytes, size)
    local at = 1
    return function()
      if at > #bytes then return nil end
      local piece = bytes:sub(at, at + size - 1)
      at = at + size
      return piece
    end
  end

  -- Everything in an archive: a table from name to "kind target content".
  local function read_all(bytes, size)
    local archive <close> = core.archive(pieces(bytes, size))
    local found = {}
    while true do
      local entry, message = archive:next()
      assert.is_nil(message)
      if not entry then return found, archive:next() end
      local content = entry.kind == "file" and entry.size < 1000000 and assert(archive:content()) or ""
      found[entry.name] = ("%s %s %s"):format(entry.kind, entry.target or "", core.md5(content))
    end
  end

  local function check(bytes)
    local big, small = core.md5(process.read_file(folder .. "/tree/big")), core.md5 "x"
    for _, size in ipairs { 333, 65536, #bytes } do
      local found = read_all(bytes, size)
      assert.equal("file  " .. core.md5 "", found["tree/none"])
      assert.equal("file  " .. small, found["tree/" .. LONG .. "/small"])
      assert.equal("link big " .. core.md5 "", found["tree/link"])
      local plain = found["tree/big"]:find "^file" and "tree/big" or "tree/same"
      assert.equal("file  " .. big, found[plain])
      if found["tree/empty"] then assert.equal("folder  " .. core.md5 "", found["tree/empty"]) end
    end
  end

  for _, format in ipairs { "gnu", "pax", "posix" } do
    for _, zipped in ipairs { "", "z" } do
      it(("are those of tar --format=%s%s"):format(format, zipped), function()
        local path = folder .. "/" .. format .. zipped
        assert(os.execute(("tar -C %s --format=%s -c%sf %s tree"):format(quote(folder), format, zipped, quote(path))))
        check(process.read_file(path))
      end)
    end
  end

  it("are those of erl_tar", function()
    assert(os.execute(("cd %s && erl -noshell -boot start_clean "
      .. "-eval 'ok = erl_tar:create(\"erl.tar.gz\", [\"tree\"], [compressed]), halt().'"):format(quote(folder))))
    check(process.read_file(folder .. "/erl.tar.gz"))
  end)

  it("say where they are damaged, and stay so", function()
    local bytes = process.read_file(folder .. "/gnuz")
    local archive <close> = core.archive(pieces(bytes:sub(1, #bytes // 2) .. ("x"):rep(100000), 1000))
    local entry, message, code
    repeat
      entry, message, code = archive:next()
    until not entry
    assert.equal("protocol", code)
    assert.matches("at byte %d+ of the compressed file", message)
    assert.same({ nil, "the archive is damaged", "protocol" }, { archive:next() })
  end)

  it("raise what their reader raises, and where they are closed", function()
    local archive = core.archive(function() error "no bytes" end)
    assert.has_error(function() archive:next() end)
    archive:close()
    archive:close()
    assert.has_error(function() archive:next() end)
    assert.has_error(function() core.archive "bytes" end)
  end)

  it("pass over what is not read", function()
    local archive <close> = core.archive(pieces(process.read_file(folder .. "/gnu"), 4096))
    local count = 0
    while archive:next() do count = count + 1 end
    assert.is_true(count >= 6)
    assert.is_nil(archive:next())
    assert.equal("", archive:content())
  end)
end)
