-- upload: whole or not at all.

local process = require "support.process"
local program = require "cli.program"
local chat = require "support.chat"

describe("edeliver-relup NODE upload", function()
  local release, folder, tarball

  setup(function()
    release = chat.start { next = {} }
    folder = process.temporary_folder()
    tarball = folder .. "/chat-2.0.0.tar.gz"
    os.execute(("cp %s/chat-2.0.0.tar.gz %s"):format(process.quote(chat.built()), process.quote(tarball)))
  end)

  teardown(function()
    release:stop()
    process.remove_folder(folder)
  end)

  local function upload(...) return program.run({ release.name, "upload", ... }, { node = release }) end
  local function there(name) return process.read_file(release.root .. "/releases/" .. name) end
  local function passing()
    return process.output(("ls -A %s/releases %s/lib | grep ship- "):format(release.root, release.root))
  end

  it("puts a tarball where the release handler finds it, byte for byte", function()
    local sent = upload(tarball)
    assert.equal(0, sent.code, sent.err)
    assert.matches("releases/chat%-2.0.0.tar.gz: [%d.]+ %a+ in [%d.]+ s, checksum %x+%.\n$", sent.out)
    assert.equal(process.read_file(tarball), there "chat-2.0.0.tar.gz")
    assert.equal("", passing())
    local upgraded = program.run("NODE upgrade 2.0.0", { node = release })
    assert.equal(0, upgraded.code, upgraded.err)
  end)

  it("takes every version that release_handler takes", function()
    local version = "2.0.1~rc 1@b+c"
    local script = [[cd 'FOLDER' && mkdir other && tar -xzf chat-2.0.0.tar.gz -C other && cd other/releases &&
      mv 2.0.0 'VERSION' && sed -i '1s/"2.0.0"/"VERSION"/' chat-2.0.0.rel 'VERSION/chat-2.0.0.rel' 'VERSION/relup' &&
      mv chat-2.0.0.rel 'chat-VERSION.rel' && mv 'VERSION/chat-2.0.0.rel' 'VERSION/chat-VERSION.rel' &&
      cd .. && tar -czf '../chat-VERSION.tar.gz' *]]
    assert(os.execute((script:gsub("FOLDER", folder):gsub("VERSION", version))))
    local other <close> = chat.start { next = {} }
    local sent = program.run({ other.name, "upload", ("%s/chat-%s.tar.gz"):format(folder, version) }, { node = other })
    assert.equal(0, sent.code, sent.err)
    local upgraded = program.run({ other.name, "upgrade", version, "--app", "chat" }, { node = other })
    assert.equal(0, upgraded.code, upgraded.err)
    assert.matches(version, assert(other:eval "release_handler:which_releases(current)"), 1, true)
  end)

  it("sends nothing that is there already", function()
    local name = folder .. "/twice-1.tar.gz"
    os.execute(("cp %s %s"):format(process.quote(tarball), process.quote(name)))
    assert.equal(0, upload(name).code)
    local again = upload(name)
    assert.equal(0, again.code, again.err)
    assert.matches("is there already, the same", again.out)
  end)

  it("replaces what differs only where that is said", function()
    local name = folder .. "/other-1.tar.gz"
    os.execute(("cp %s %s"):format(process.quote(tarball), process.quote(name)))
    assert.equal(0, upload(name).code)
    os.execute(("printf more >> %s"):format(process.quote(name)))
    local refused = upload(name)
    assert.equal(1, refused.code)
    assert.matches("another .*other%-1.tar.gz already; %-%-replace", refused.err)
    assert.equal(process.read_file(tarball), there "other-1.tar.gz")
    assert.equal(0, upload(name, "--replace").code)
    assert.equal(process.read_file(name), there "other-1.tar.gz")
  end)

  it("goes into a version's folder where that is wanted", function()
    assert.equal(0, upload(tarball, "--as", "3.0.0/chat.tar.gz").code)
    assert.equal(process.read_file(tarball), there "3.0.0/chat.tar.gz")
  end)

  it("takes the names of versions that release_handler takes", function()
    for _, name in ipairs { "chat-2.0.0~rc1.tar.gz", "chat-2.0.0+build@7.tar.gz", "my chat-2.0.0.tar.gz" } do
      local sent = upload(tarball, "--as", name)
      assert.equal(0, sent.code, sent.err)
      assert.equal(process.read_file(tarball), there(name))
    end
  end)

  it("refuses names that lead elsewhere, and files that are no tarballs", function()
    for _, name in ipairs {
      "../chat.tar.gz", "/etc/chat.tar.gz", "a/b/c.tar.gz", "chat.zip", "-x.tar.gz", " x.tar.gz", "~/x.tar.gz",
      "a\27[2J.tar.gz", "a\nb.tar.gz", "a'b.tar.gz", "a$(x).tar.gz", "a`x`.tar.gz",
    } do
      local refused = upload(tarball, "--as=" .. name)
      assert.equal(64, refused.code, name)
      assert.matches("is no name for a tarball", refused.err, 1, true)
    end
    local text = folder .. "/text.tar.gz"
    local file = assert(io.open(text, "w"))
    file:write "not gzipped"
    file:close()
    assert.matches("is no gzipped tarball", upload(text).err)
    assert.equal(2, upload(folder .. "/missing.tar.gz").code)
  end)

  it("sends only what the owner of a key has signed, and what the digest beside it is about", function()
    local function sh(command)
      assert(os.execute(("cd %s && umask 077 && { %s; } >/dev/null 2>&1"):format(process.quote(folder), command)))
    end
    sh "cp chat-2.0.0.tar.gz signed-1.tar.gz"
    sh "openssl genpkey -algorithm ed25519 -out private.pem && openssl pkey -in private.pem -pubout -out public.pem"
    local words = { folder .. "/signed-1.tar.gz", "--verify-key", folder .. "/public.pem", "--json" }
    local function refused(pattern)
      local ran = upload(table.unpack(words))
      assert.equal(1, ran.code, ran.err)
      assert.matches(pattern, ran.err, 1, true)
      assert.is_nil(there "signed-1.tar.gz")
      assert.equal("", passing())
    end
    refused "has no signature"
    sh "openssl pkeyutl -sign -rawin -inkey private.pem -in signed-1.tar.gz -out signed-1.tar.gz.sig"
    sh "printf more >>signed-1.tar.gz"
    refused "signed-1.tar.gz.sig is not the signature of"
    sh "openssl pkeyutl -sign -rawin -inkey private.pem -in signed-1.tar.gz -out signed-1.tar.gz.sig"
    sh "sha256sum chat-2.0.0.tar.gz | sed s/chat-2.0.0/signed-1/ >signed-1.tar.gz.sha256"
    refused "is not the file that"
    sh "sha256sum signed-1.tar.gz >signed-1.tar.gz.sha256"
    local sent = upload(table.unpack(words))
    assert.equal(0, sent.code, sent.err)
    assert.same({ "sha256", "signature" }, require("dkjson").decode(sent.out).result.verified)
    assert.equal(process.read_file(folder .. "/signed-1.tar.gz"), there "signed-1.tar.gz")
  end)

  it("leaves nothing half-written behind when it cannot go on", function()
    -- The final name is a folder: the rename at the very end fails.
    os.execute(("mkdir -p %s/releases/blocked.tar.gz"):format(process.quote(release.root)))
    local refused = upload(tarball, "--as", "blocked.tar.gz", "--replace")
    assert.equal(2, refused.code, refused.err)
    assert.equal("", passing())
  end)
end)
