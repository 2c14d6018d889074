-- Real releases read from folders and tarballs; and each way in which a release is not one.

local process = require "support.process"
local release = require "edeliver.relup.release"
local releases = require "support.releases"

local quote, sh = process.quote, process.shell

describe("a release of mix", function()
  local folder, built

  setup(function()
    folder, built = process.temporary_folder(), releases.built()
  end)
  teardown(function() process.remove_folder(folder) end)

  local function refused(path, code, ...)
    local opened, message, got = release.open(path)
    assert.is_nil(opened)
    assert.equal(code, got, message)
    for _, part in ipairs { ... } do assert.truthy(message:find(part, 1, true), message) end
    return message
  end

  it("says who it is and what it has", function()
    local shop = assert(release.open(built .. "/shop-1.0.0"))
    assert.equal("shop 1.0.0 mix", table.concat({ shop.name, shop.version, shop.layout }, " "))
    assert.equal("Elixir.Shop.Application", shop.applications.shop.app.mod)
    assert.equal("permanent", shop.applications.shop.start_type)
    assert.equal("none", shop.applications.iex.start_type)
    assert.equal("0.1.0", shop.applications.stock.version)
    assert.same({ "Elixir.Config.Reader" }, shop.providers)
    assert.equal("red", shop.configuration.shop.color)
    assert.equal("shop", shop.modules["Elixir.Shop.Cart"].application)
    assert.equal("releases/1.0.0/consolidated/Elixir.Shop.Price.beam", shop.modules["Elixir.Shop.Price"].path)
    assert.truthy(shop.files["lib/shop-1.0.0/priv/labels.txt"])
    assert.truthy(shop:own_file "vm.args")
    assert.truthy(shop.boot)
  end)

  it("is the same in a folder and in a tarball", function()
    local from_folder = assert(release.open(built .. "/shop-1.0.0"))
    local from_tarball = assert(release.open(built .. "/shop-1.0.0.tar.gz"))
    for _, part in ipairs { "name", "version", "erts", "machine", "layout", "modules", "applications", "order" } do
      assert.same(from_folder[part], from_tarball[part])
    end
    assert.same(from_folder:own_file "sys.config", from_tarball:own_file "sys.config")
    local seen = {}
    assert(from_tarball:visit_modules({ "Elixir.Shop.Cart", "Elixir.Shop.Till" }, function(name, module)
      seen[name] = module:code_change()
    end))
    assert.same({ ["Elixir.Shop.Cart"] = "default", ["Elixir.Shop.Till"] = "own" }, seen)
  end)

  it("is read in relx's layout, and with another version beside it", function()
    local path = releases.copy("1.0.0", folder)
    sh("cd %s/releases && rm -r 1.0.0/env.sh 1.0.0/consolidated 1.0.0/start_clean.* && mv 1.0.0/start.boot 1.0.0/shop.boot "
      .. "&& mv 1.0.0/start.script 1.0.0/shop.script && cp 1.0.0/shop.rel shop.rel", quote(path))
    local shop = assert(release.open(path))
    assert.equal("shop 1.0.0 relx", table.concat({ shop.name, shop.version, shop.layout }, " "))
    assert.same({}, shop.protocols)
    assert.equal("lib/shop-1.0.0/ebin/Elixir.Shop.Price.beam", shop.modules["Elixir.Shop.Price"].path)
    -- A second version in the same root: start_erl.data says which one runs, or the caller does.
    sh("cd %s/releases && mkdir 9.0.0 && sed 's/\"1.0.0\"},/\"9.0.0\"},/' shop.rel > 9.0.0/shop.rel && cp 1.0.0/sys.config 9.0.0",
      quote(path))
    assert.equal("1.0.0", assert(release.open(path)).version)
    assert.equal("9.0.0", assert(release.open(path, { version = "9.0.0" })).version)
    refused(path .. "/none", "missing", "none")
    sh("rm %s/releases/start_erl.data", quote(path))
    refused(path, "ambiguous", "1.0.0, 9.0.0")
  end)

  it("is read only as it was signed, where a key says so, also when its name is another file's by then", function()
    local path, key = folder .. "/signed.tar.gz", folder .. "/public.pem"
    sh(("cp %s/shop-2.0.0.tar.gz %s && umask 077 && cd %s && openssl genpkey -algorithm ed25519 -out private.pem && "
      .. "openssl pkey -in private.pem -pubout -out public.pem"):format(built, path, folder))
    assert.equal("signature", select(3, release.open_verified(path, key)))
    sh(("cd %s && openssl pkeyutl -sign -rawin -inkey private.pem -in signed.tar.gz -out signed.tar.gz.sig"):format(folder))
    local opened = assert(release.open_verified(path, key))
    assert.same({ "signature" }, opened.verified)
    sh(("echo other >%s"):format(path))
    local of_file = assert(release.open(built .. "/shop-2.0.0")):md5s { "Elixir.Shop.Cart" }
    assert.same(of_file, assert(opened:md5s { "Elixir.Shop.Cart" }))
    assert.equal("signature", select(3, release.open_verified(built .. "/shop-2.0.0", key)))
    assert.same({}, assert(release.open_verified(built .. "/shop-2.0.0")).verified)
    assert.equal("missing", select(3, release.open_verified(folder .. "/nothing")))
    sh(("cp %s/shop-2.0.0.tar.gz %s && echo %s  signed.tar.gz >%s.sha256"):format(built, path, ("0"):rep(64), path))
    assert.equal("checksum", select(3, release.open_verified(path)))
  end)

  it("may have hard links in its tarball, as whoever copies with them has", function()
    local path = releases.copy("1.0.0", folder)
    sh("cd %s && cp -al lib/shop-1.0.0 lib/shop-0.9.0 && tar --sort=name -cf %s/hard.tar lib releases erts-*", quote(path),
      quote(folder))
    local plain, hard = assert(release.open(path)), assert(release.open(folder .. "/hard.tar"))
    assert.equal(plain.modules["Elixir.Shop.Cart"].hash, hard.modules["Elixir.Shop.Cart"].hash)
    local fields
    assert(hard:visit_modules({ "Elixir.Shop.Cart" }, function(_, module) fields = module:struct() end))
    assert.truthy(fields.items)
  end)

  describe("that is not whole is refused:", function()
    it("a tarball that is cut short, with the offset", function()
      local bytes = process.read_file(built .. "/shop-1.0.0.tar.gz")
      for _, part in ipairs { 0.01, 0.5, 0.999 } do
        local file <close> = assert(io.open(folder .. "/cut.tar.gz", "wb"))
        file:write(bytes:sub(1, math.floor(#bytes * part)))
        file:close()
        assert.matches("at byte %d+", refused(folder .. "/cut.tar.gz", "protocol", folder .. "/cut.tar.gz", "cut short"))
      end
    end)

    it("a module whose file is cut short, damaged, or claims 4 GiB", function()
      local path = releases.copy("1.0.0", folder)
      local beam = path .. "/lib/shop-1.0.0/ebin/Elixir.Shop.Cart.beam"
      local bytes = process.read_file(beam)
      local four_gib = ("\255"):rep(4)
      local bad_ones = { bytes:sub(1, 100), "FOR1" .. four_gib .. bytes:sub(9), bytes:sub(1, 16) .. four_gib .. bytes:sub(21) }
      for _, bad in ipairs(bad_ones) do
        local file <close> = assert(io.open(beam, "wb"))
        file:write(bad)
        file:close()
        assert.matches("at byte %d+$", refused(path, "protocol", "Elixir.Shop.Cart.beam", "cut short"))
      end
    end)

    it("an application, or a module, that is named and not there", function()
      local path = releases.copy("1.0.0", folder)
      sh("rm %s/lib/shop-1.0.0/ebin/Elixir.Shop.Cart.beam", quote(path))
      refused(path, "missing", "shop.app names the module Elixir.Shop.Cart")
      sh("rm -r %s/lib/stock-0.1.0", quote(path))
      path = releases.copy("1.0.0", folder)
      sh("rm -r %s/lib/stock-0.1.0", quote(path))
      refused(path, "missing", "releases/1.0.0/shop.rel names the application stock 0.1.0")
    end)

    it("no release at all, and nothing", function()
      sh("mkdir -p %s/empty", quote(folder))
      refused(folder .. "/empty", "not_a_release", "no releases/VERSION/NAME.rel")
      refused(folder .. "/none", "missing", "none")
      sh("echo hello > %s/text", quote(folder))
      refused(folder .. "/text", "protocol", folder .. "/text is no release's folder or tarball")
    end)

    it("a boot file that is not what its script says", function()
      local path = releases.copy("1.0.0", folder)
      sh("sed -i 's/preLoaded/preloaded/' %s/releases/1.0.0/start.script", quote(path))
      refused(path, "syntax", "releases/1.0.0/start.boot", "not equal")
    end)

    it("a .rel file that is none, with line and column", function()
      local path = releases.copy("1.0.0", folder)
      sh("echo '{release,' > %s/releases/1.0.0/shop.rel", quote(path))
      refused(path, "syntax", "releases/1.0.0/shop.rel", "line 2")
    end)

    it("links out of it", function()
      local path = releases.copy("1.0.0", folder)
      sh("ln -s ../../../../../.. %s/lib/shop-1.0.0/priv/up", quote(path))
      refused(path, "refused", "lib/shop-1.0.0/priv/up is a link out of the release")
      sh("tar -C %s -czf %s/linked.tar.gz lib releases", quote(path), quote(folder))
      refused(folder .. "/linked.tar.gz", "protocol", "a link that leads out of the archive")
    end)

    it("a bomb: a file that would be 64 GiB is refused by its header", function()
      local function header(size)
        local block = ("lib/a/priv/zeros"):gsub("$", ("\0"):rep(84)) .. "0000644\0" .. ("\0"):rep(16) .. size .. ("\0"):rep(12)
        local rest = "0" .. ("\0"):rep(100) .. "ustar\00000" .. ("\0"):rep(247)
        local sum = 8 * 32
        for byte in (block .. rest):gmatch "." do sum = sum + byte:byte() end
        return block .. ("%06o\0 "):format(sum) .. rest
      end
      local block = header("\128\0\0\0\0\0\0\16\0\0\0\0")
      assert.equal(512, #block)
      local file <close> = assert(io.open(folder .. "/bomb.tar", "wb"))
      file:write(block)
      file:close()
      refused(folder .. "/bomb.tar", "limit", "a file that is too large, at byte 512")
    end)
  end)
end)
