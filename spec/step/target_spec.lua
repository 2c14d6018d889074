-- Tarballs as build tools name and fill them, and as they must not be: found, read and refused before the node unpacks anything.

local chat = require "support.chat"
local process = require "support.process"
local refusals = require "support.refusals"
local shared = require "support.shared"

describe("the tarball of a release", function()

  local scene = shared(refusals.start, { next = {} })
  setup(function()
    scene:shell(("mkdir $T/as_built && tar -xzf %s/chat-2.0.0.tar.gz -C $T/as_built"):format(process.quote(chat.built())))
  end)

  -- Puts a tarball of 2.0.0 on the node, after some changes of what it holds.
  local function put(name, change)
    scene:shell(("rm -rf $T/now && cp -r $T/as_built $T/now && ( cd $T/now && %s && tar -czf $T/now.tar.gz * )"):format(
      change or "true"))
    scene:shell(("mkdir -p releases/%s && mv $T/now.tar.gz releases/%s"):format(name:match "^(.*)/" or "", name))
  end

  -- As it was before, whatever was unpacked.
  local function forget(name)
    if scene.release:releases()["2.0.0"] == "current" then assert(scene:run "1.0.0") end
    scene.release:eval 'release_handler:remove_release("2.0.0")'
    scene:shell(("rm -rf lib/chat-2.0.0 releases/2.0.0 releases/%s"):format(name))
  end

  local RELS = {
    systools = { "chat-2.0.0.tar.gz", "true" },
    mix = { "chat-2.0.0.tar.gz", "rm releases/chat-2.0.0.rel && mv releases/2.0.0/chat-2.0.0.rel releases/2.0.0/chat.rel" },
    relx = { "chat-2.0.0.tar.gz",
      "mv releases/chat-2.0.0.rel releases/chat.rel && mv releases/2.0.0/chat-2.0.0.rel releases/2.0.0/chat.rel" },
    distillery = { "2.0.0/chat.tar.gz",
      "rm releases/chat-2.0.0.rel && mv releases/2.0.0/chat-2.0.0.rel releases/2.0.0/chat.rel" },
  }

  for tool, how in pairs(RELS) do
    it("is read and unpacked as " .. tool .. " makes it", function()
      finally(function() forget(how[1]) end)
      put(how[1], how[2])
      local dry, problem, _, lines = scene:run("2.0.0", nil, { dry_run = true })
      assert.is_truthy(dry, problem)
      assert.matches("2.0.0 is not unpacked yet, so check_install_release is not asked in a dry run", lines, 1, true)
      assert.same({ ["1.0.0"] = "permanent" }, scene.release:releases())
      assert(scene:run "2.0.0")
      assert.equal("current", scene.release:releases()["2.0.0"])
    end)
  end

  it("may hold the release before as well, as a build folder that was used twice does", function()
    finally(function() forget "chat-2.0.0.tar.gz" end)
    put("chat-2.0.0.tar.gz", RELS.mix[2] .. " && mkdir releases/1.0.0 && sed 's/2.0.0/1.0.0/' releases/2.0.0/chat.rel > "
      .. "releases/1.0.0/chat.rel")
    assert(scene:run "2.0.0")
    assert.equal("current", scene.release:releases()["2.0.0"])
  end)

  it("has to have a relup from the version that runs", function()
    finally(function() forget "chat-2.0.0.tar.gz" end)
    put("chat-2.0.0.tar.gz", "rm releases/2.0.0/relup")
    local message, code = scene:refused "2.0.0"
    assert.equal("no_matching_relup", code)
    assert.matches("releases/2.0.0/relup is not there", message, 1, true)
    assert.matches("`plan OLD NEW --relup FILE` makes one", message, 1, true)
  end)

  it("has to have the modules and the libraries that its relup loads", function()
    finally(function() forget "chat-2.0.0.tar.gz" end)
    put("chat-2.0.0.tar.gz", "rm lib/chat-2.0.0/ebin/chat_http.beam")
    local message, code = scene:refused "2.0.0"
    assert.equal("no_object_code", code)
    assert.matches("loads lib/chat-2.0.0/ebin/chat_http.beam, which is not in releases/chat-2.0.0.tar.gz", message, 1, true)
    put("chat-2.0.0.tar.gz", [[sed -i 's/{load_object_code,{chat,"2.0.0"/{load_object_code,{chat,"2.0.9"/' releases/2.0.0/relup]])
    message, code = scene:refused "2.0.0"
    assert.equal("no_object_code", code)
    assert.matches("loads modules of chat-2.0.9, and that library is not in the release", message, 1, true)
  end)

  it("has to hold the version that was meant", function()
    finally(function() scene:shell "rm releases/chat-2.0.1.tar.gz" end)
    put "chat-2.0.1.tar.gz"
    local message = scene:refused "2.0.1"
    assert.matches("releases/chat-2.0.1.tar.gz on " .. scene.node.name .. " holds version 2.0.0, not 2.0.1", message, 1, true)
  end)

  local BAD = {
    ["is cut off"] = { "head -c 20000 $T/good.tar.gz > bad.tar.gz" },
    ["is empty"] = { "tar -czf bad.tar.gz -T /dev/null" },
    ["is no tarball"] = { "head -c 2000 /dev/zero | tr '\\0' x | gzip > bad.tar.gz" },
    ["leads out of the release's folder: ../out"] = { "echo x > out && tar -P --transform 's,^out,../out,' -czf bad.tar.gz out" },
    ["leads out of the release's folder: /tmp/out"] = {
      "echo x > out && tar -P --transform 's,^out,/tmp/out,' -czf bad.tar.gz out" },
    ["has a link that OTP refuses to unpack, because it may lead out of the release's folder: lib/out"] = {
      "mkdir lib && ln -s ../../etc lib/out && tar -czf bad.tar.gz lib" },
    ["has an entry behind a link that is in the tarball, too: lib/b/file"] = {
      "mkdir -p lib/a && ln -s lib/a lib/b && tar -cf bad.tar lib/b && echo x > lib/a/file && "
        .. "tar -rf bad.tar --transform 's,/a/,/b/,' lib/a/file && gzip bad.tar" },
    ["has an entry that is no file, folder or link: pipe"] = { "mkfifo pipe && tar -czf bad.tar.gz pipe" },
    ["holds no release: there is no .rel file"] = { "echo x > out && tar -czf bad.tar.gz out" },
  }

  for problem, how in pairs(BAD) do
    it("is refused where it " .. problem:gsub(":.*", ""), function()
      finally(function() scene:shell "rm releases/chat-2.0.0.tar.gz" end)
      scene:shell(("cp %s/chat-2.0.0.tar.gz $T/good.tar.gz; rm -rf $T/bad && mkdir $T/bad && cd $T/bad && %s"):format(
        process.quote(chat.built()), how[1]))
      scene:shell "mv $T/bad/bad.tar.gz releases/chat-2.0.0.tar.gz"
      local message, code = scene:refused "2.0.0"
      assert.equal("bad_tarball", code)
      assert.matches(problem, message, 1, true)
      assert.equal("", scene:shell "ls -d lib/chat-2.0.0 releases/2.0.0 2>/dev/null || true")
    end)
  end

  it("is compared with what is unpacked of the same version", function()
    finally(function() forget "chat-2.0.0.tar.gz" end)
    put "chat-2.0.0.tar.gz"
    assert(scene.release:eval '{ok, _} = release_handler:unpack_release("chat-2.0.0")')
    put "chat-2.0.0.tar.gz"
    local same, problem, _, lines = scene:run("2.0.0", nil, { dry_run = true })
    assert.is_truthy(same, problem)
    assert.matches("releases/chat-2.0.0.tar.gz holds what is unpacked already", lines, 1, true)
    put("chat-2.0.0.tar.gz", "echo x >> lib/chat-2.0.0/ebin/chat_http.beam && echo x > lib/chat-2.0.0/ebin/more")
    local message, code = scene:refused "2.0.0"
    assert.equal("stale", code)
    assert.matches("it differs in lib/chat-2.0.0/ebin/chat_http.beam, and lacks lib/chat-2.0.0/ebin/more. To install the "
      .. "tarball, run `remove 2.0.0` first", message, 1, true)
  end)

  it("is compared with what an earlier try has left", function()
    finally(function() forget "chat-2.0.0.tar.gz" end)
    put "chat-2.0.0.tar.gz"
    scene:shell "cp -r $T/as_built/lib/chat-2.0.0 lib/ && echo x >> lib/chat-2.0.0/ebin/chat_http.beam"
    local message, code = scene:refused "2.0.0"
    assert.equal("stale", code)
    assert.matches("with other contents than in releases/chat-2.0.0.tar.gz: lib/chat-2.0.0/ebin/chat_http.beam", message, 1, true)
  end)

  it("may differ in libraries that the running release uses: that is a warning", function()
    finally(function() forget "chat-2.0.0.tar.gz" end)
    put("chat-2.0.0.tar.gz", "for f in lib/ranch-*/ebin/ranch.beam; do echo x >> $f; done")
    local dry, problem, _, lines = scene:run("2.0.0", nil, { dry_run = true })
    assert.is_truthy(dry, problem)
    assert.matches("warning: .*: lib/ranch%-[%d.]+/ebin/ranch.beam, which 1.0.0 uses, differs on the node", lines)
  end)
end)
