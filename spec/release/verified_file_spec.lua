-- Files that are checked before anything is sent, with what sha256sum and openssl make.

local core = require "edeliver.relup.core"
local process = require "support.process"
local verified_file = require "edeliver.relup.release.verified_file"

describe("a file that is checked", function()
  local folder, path, key

  local function sh(command)
    return assert(os.execute(("cd %s && umask 077 && { %s; } >/dev/null 2>&1"):format(folder, command)))
  end

  setup(function()
    folder = process.temporary_folder()
    path, key = folder .. "/rel-1.tar.gz", folder .. "/public.pem"
    sh "openssl genpkey -algorithm ed25519 -out private.pem && openssl pkey -in private.pem -pubout -out public.pem"
    sh "openssl genpkey -algorithm ed25519 -out other.pem && openssl pkey -in other.pem -pubout -out other_public.pem"
    sh "openssl genpkey -algorithm rsa -out rsa.pem && openssl pkey -in rsa.pem -pubout -out rsa_public.pem"
  end)
  teardown(function() process.remove_folder(folder) end)
  before_each(function()
    sh "rm -f rel-1.tar.gz*; head -c 300000 /dev/urandom >rel-1.tar.gz"
  end)

  local function sign(with) sh(("openssl pkeyutl -sign -rawin -inkey %s -in rel-1.tar.gz -out rel-1.tar.gz.sig"):format(with)) end
  local function open(key_path)
    local file, message, code = verified_file.open(path, key_path)
    if not file then return nil, message, code end
    local text = file:read "a"
    file:close()
    assert.equal(process.read_file(path), text)
    return message
  end
  local function refused(code, words, key_path)
    local checked, message, got = open(key_path)
    assert.same({ nil, code }, { checked, got }, message)
    assert.truthy(message:find(words, 1, true), message)
  end

  it("is taken as it is where there is nothing to check it with", function() assert.same({}, open()) end)

  it("has the digest that lies beside it", function()
    for _, command in ipairs { "sha256sum rel-1.tar.gz", "sha256sum -b rel-1.tar.gz", "sha256sum --tag rel-1.tar.gz",
      "sha256sum rel-1.tar.gz | cut -d' ' -f1", "echo abc | sha256sum; sha256sum rel-1.tar.gz" } do
      sh(("{ %s; } >x; mv x rel-1.tar.gz.sha256"):format(command))
      assert.same({ "sha256" }, open(), command)
    end
    sh "printf x >>rel-1.tar.gz"
    refused("checksum", "Nothing was sent")
    for _, text in ipairs { "", "hello", ("0"):rep(63), "zz" } do
      sh(("printf '%s' >rel-1.tar.gz.sha256"):format(text))
      refused("checksum", "has no SHA-256 digest of")
    end
    sh "rm rel-1.tar.gz.sha256 && mkdir rel-1.tar.gz.sha256"
    refused("not_plain", "is not a plain file")
    sh "rmdir rel-1.tar.gz.sha256"
  end)

  it("is signed by the owner of the key", function()
    refused("signature", "rel-1.tar.gz.sig is missing", key)
    sign "private.pem"
    assert.same({ "signature" }, open(key))
    sh "sha256sum rel-1.tar.gz >rel-1.tar.gz.sha256"
    assert.same({ "sha256", "signature" }, open(key))
  end)

  it("is refused with another signature, whatever is wrong with it", function()
    sign "other.pem"
    refused("signature", "is not the signature of", key)
    sign "private.pem"
    refused("signature", "is not the signature of", folder .. "/other_public.pem")
    for _, command in ipairs { "printf x >>", "truncate -s 63 ", "truncate -s 0 " } do
      sh(command .. "rel-1.tar.gz.sig")
      refused("signature", "is not the signature of", key)
    end
    sign "private.pem"
    sh "printf x >>rel-1.tar.gz"
    refused("signature", "is not the signature of", key)
  end)

  it("is refused with what is no such key, or one that others can exchange", function()
    sign "private.pem"
    for _, name in ipairs { "rsa_public.pem", "private.pem", "rel-1.tar.gz" } do
      refused("badarg", "it holds no Ed25519 public key in PEM", folder .. "/" .. name)
    end
    refused("missing", "No such file", folder .. "/none.pem")
    sh "cp public.pem shared.pem && chmod 666 shared.pem"
    refused("not_private", "others can write it", folder .. "/shared.pem")
  end)

  it("is what was checked, also where somebody changes the file meanwhile", function()
    sign "private.pem"
    local before = process.read_file(path)
    local file <close> = assert(verified_file.open(path, key))
    sh "printf evil | dd of=rel-1.tar.gz conv=notrunc"
    assert.not_equal(before, process.read_file(path))
    assert.equal(before, file:read "a")
    file:seek "set"
    assert.equal(64, #core.file_digest(file, "sha256"))
  end)

  it("is a plain file", function()
    assert.equal("not_plain", select(3, verified_file.open(folder)))
    assert.equal("missing", select(3, verified_file.open(folder .. "/none")))
    assert.same({ nil, "badarg" }, { core.file_digest(io.stdin, "none"), (select(3, core.file_digest(io.stdin, "none"))) })
  end)
end)
