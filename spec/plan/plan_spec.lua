-- What a plan says of two real releases, and of releases that differ in one thing.

local plan = require "edeliver.relup.plan"
local process = require "support.process"
local reasons = require "edeliver.relup.plan.reasons"
local releases = require "support.releases"

local said = releases.said

local quote, sh = process.quote, process.shell

describe("a plan", function()
  local folder, built

  setup(function()
    folder, built = process.temporary_folder(), releases.built()
  end)
  teardown(function() process.remove_folder(folder) end)

  describe("of two releases of mix", function()
    local made
    setup(function() made = assert(plan.compare(built .. "/shop-1.0.0", built .. "/shop-2.0.0.tar.gz")) end)

    it("names modules by what changed in them", function()
      assert.same({ "Elixir.Shop.Application", "Elixir.Shop.Cart", "Elixir.Shop.Native", "Elixir.Shop.Price", "Elixir.Shop.Till",
        "Elixir.Shop.Tills", "Elixir.Stock" }, made.modules.changed)
      assert.same({ "Elixir.Shop.Cache", "Elixir.Shop.Price.BitString", "Elixir.Shop.Printer" }, made.modules.added)
      assert.same({ "Elixir.Shop.Drawer" }, made.modules.removed)
      assert.same({ "Elixir.Shop.OnlyLines" }, made.modules.touched)
    end)

    it("names protocols, files and keys", function()
      assert.same({ "Elixir.Shop.Price" }, made.protocols)
      assert.same({ changed = { "shop/priv/labels.txt" }, added = {}, removed = { "shop/priv/gone.txt" } }, made.files)
      assert.same({ added = { "shop.added" }, removed = { "shop.dropped" }, changed = { "shop.color" } }, made.configuration)
    end)

    it("names applications, and those whose version nobody bumped", function()
      local change = {}
      for _, it in ipairs(made.applications) do change[it.name] = it.change end
      assert.equal("changed", change.shop)
      assert.equal("changed_under_same_version", change.stock)
      assert.equal("same", change.elixir)
    end)

    it("gives each reason a code, a place and a next step", function()
      assert.equal("cold", made.verdict)
      assert.same({
        "cold struct_fields_changed Elixir.Shop.Cart",
        "warning application_child_added Elixir.Shop.Cache",
        "warning nif_module_changed Elixir.Shop.Native",
        "warning version_not_bumped stock",
        "note children_changed Elixir.Shop.Tills",
      }, said(made))
      assert.equal("The struct Shop.Cart gains the field coupon and loses the field owner, and it keeps its old form as state "
        .. "with no code_change of its own.", made.reasons[1].text)
      for _, reason in ipairs(made.reasons) do assert.truthy(reason.next:find "%.$", reason.code) end
    end)

    it("says the same the other way round", function()
      local back = assert(plan.compare(built .. "/shop-2.0.0", built .. "/shop-1.0.0"))
      assert.same(made.modules.changed, back.modules.changed)
      assert.same(made.modules.added, back.modules.removed)
      assert.same({ "Elixir.Shop.Cache" }, back.started[1].lost)
      assert.same({ gained = { "Elixir.Shop.Drawer" }, lost = { "Elixir.Shop.Printer" } },
        { gained = back.supervisors[1].gained, lost = back.supervisors[1].lost })
    end)
  end)

  it("of a release and itself says that nothing changes", function()
    local made = assert(plan.compare(built .. "/shop-1.0.0", built .. "/shop-1.0.0.tar.gz"))
    assert.equal("hot", made.verdict)
    assert.same({ "note nothing_changed shop" }, said(made))
  end)

  -- One change to a copy of 1.0.0, and the reasons that it gives.
  local CHANGES = {
    { "another vm.args", "echo '+P 1000000' >> releases/1.0.0/vm.args",
      { "cold vm_args_changed releases/1.0.0/vm.args" } },
    { "another env.sh", "echo 'export A=1' >> releases/1.0.0/env.sh",
      { "cold env_sh_changed releases/1.0.0/env.sh" } },
    { "another runtime.exs", "echo '# a line' >> releases/1.0.0/runtime.exs",
      { "note runtime_configuration_changed releases/1.0.0/runtime.exs" } },
    { "another start type", "sed -i 's/{stock,\"0.1.0\",permanent}/{stock,\"0.1.0\",temporary}/' releases/1.0.0/shop.rel",
      { "cold start_type_changed stock" } },
    { "another VM", "sed -i 's/{erts,\"[0-9.]*\"}/{erts,\"99.1\"}/' releases/1.0.0/shop.rel",
      { "cold erts_changed erts-99.1" } },
    { "another sasl", "mv lib/sasl-* lib/sasl-9 "
      .. "&& sed -i 's/{vsn, *\"[0-9.]*\"}/{vsn,\"9\"}/' lib/sasl-9/ebin/sasl.app; "
      .. "sed -i 's/{sasl,\"[0-9.]*\"/{sasl,\"9\"/' releases/1.0.0/shop.rel",
      { "cold core_application_changed sasl" } },
    { "no stock", "sed -i '/{stock,/d' releases/1.0.0/shop.rel",
      { "note application_removed stock" } },
  }
  for _, change in ipairs(CHANGES) do
    it("of " .. change[1], function()
      local path = releases.copy("1.0.0", folder)
      sh("cd %s && %s", quote(path), change[2])
      local made = assert(plan.compare(built .. "/shop-1.0.0", path))
      local found = table.concat(said(made), "\n")
      for _, reason in ipairs(change[3]) do assert.truthy(found:find(reason, 1, true), found) end
    end)
  end

  it("of a native library that changed", function()
    local old, new = releases.copy("1.0.0", folder), folder .. "/new"
    sh("echo one > %s/lib/shop-1.0.0/priv/native.so; rm -rf %s; cp -r %s %s; echo two > %s/lib/shop-1.0.0/priv/native.so",
      quote(old), quote(new), quote(old), quote(new), quote(new))
    local made = assert(plan.compare(old, new))
    assert.equal("cold", made.verdict)
    assert.equal("cold nif_library_changed shop/priv/native.so", said(made)[1])
  end)

  it("of a release for another machine", function()
    local path = releases.copy("1.0.0", folder)
    sh("printf '\\026\\000' | dd of=$(ls %s/erts-*/bin/beam.smp) bs=1 seek=18 conv=notrunc 2>/dev/null", quote(path))
    local made = assert(plan.compare(built .. "/shop-1.0.0", path))
    assert.equal("cold", made.verdict)
    assert.matches("^The release is built for s390x, the old one for ", made.reasons[1].text)
  end)

  it("of releases without a VM of their own: what is OTP's is compared by version", function()
    local old, new = releases.copy("1.0.0", folder), folder .. "/without"
    sh("cd %s && rm -r erts-* lib/kernel-* lib/stdlib-* lib/sasl-* && rm -rf %s && cp -r . %s", quote(old), quote(new),
      quote(new))
    assert.same({ "note nothing_changed shop" }, said(assert(plan.compare(old, new))))
    sh("sed -i 's/{stdlib,\"[0-9.]*\"/{stdlib,\"99\"/' %s/releases/1.0.0/shop.rel", quote(new))
    assert.equal("cold core_application_changed stdlib", said(assert(plan.compare(old, new)))[1])
  end)

  it("of releases of two names is refused", function()
    local path = releases.copy("1.0.0", folder)
    sh("sed -i 's/\"shop\"/\"shoe\"/' %s/releases/1.0.0/shop.rel", quote(path))
    local made, message, code = plan.compare(built .. "/shop-1.0.0", path)
    assert.is_nil(made)
    assert.equal("other_release", code)
    assert.truthy(message:find("shoe", 1, true))
  end)

  it("of what is no release is refused, and never half of it", function()
    for _, pair in ipairs { { folder, built .. "/shop-1.0.0" }, { built .. "/shop-1.0.0", folder } } do
      local made, message, code = plan.compare(pair[1], pair[2])
      assert.is_nil(made)
      assert.equal("not_a_release", code, message)
    end
    assert.has_error(function() plan.compare(1, 2) end)
  end)

  it("of a module whose literals claim 4 GiB, or whose code is damaged, is refused with file and offset", function()
    local path = releases.copy("2.0.0", folder)
    local beam = path .. "/lib/shop-2.0.0/ebin/Elixir.Shop.Cart.beam"
    local bytes = process.read_file(beam)
    local function patched(chunk, behind, with)
      local at = bytes:find(chunk, 1, true) + 7 + behind
      local file <close> = assert(io.open(beam, "wb"))
      file:write(bytes:sub(1, at), with, bytes:sub(at + 1 + #with))
      file:close()
      local made, message, code = plan.compare(built .. "/shop-1.0.0", path)
      assert.is_nil(made)
      assert.matches("shop%-2%.0%.0/ebin/Elixir%.Shop%.Cart%.beam: .*, at byte %d+$", message)
      return code
    end
    assert.equal("limit", patched("LitT", 0, "\255\255\255\240"))
    assert.equal("protocol", patched("Code", 20, "\0\0\0"))
    assert.equal("protocol", patched("ImpT", 0, "\255\255\255\255"))
  end)

  it("has a level, words and a next step for every code", function()
    for _, reason in ipairs(reasons.all()) do
      assert.truthy(({ cold = true, warning = true, note = true })[reason.level], reason.code)
      assert.truthy(reason.text:find "%.$" and reason.next:find "%.$", reason.code)
    end
    assert.has_error(function() reasons.new("no_such_reason", "x") end)
  end)

  it("has every code explained in the guide, in its own words", function()
    local guide = process.read_file(process.root .. "/docs/guides/plain-mix-release.md")
    for _, reason in ipairs(reasons.all()) do
      local row = ("| %s | `%s` | %s | %s |"):format(reason.level, reason.code, reason.text:gsub("%%s", "…"),
        (reason.next:gsub("%%s", "…")))
      assert.truthy(guide:find(row, 1, true), row)
    end
  end)

  it("is shown in the guide as it is", function()
    local guide = process.read_file(process.root .. "/docs/guides/plain-mix-release.md")
    local shown = require("cli.program").run({ "plan", built .. "/shop-1.0.0", built .. "/shop-2.0.0" }).out
    local checked, fence = 0, nil
    for line in guide:gmatch "[^\n]+" do
      if line:find "^```" then
        fence = not fence and line or nil
      elseif fence == "```" and not line:find "initial_call" and not line:find "^processes" then
        assert.truthy(shown:find(line, 1, true), line)
        checked = checked + 1
      end
    end
    assert.is_true(checked > 10)
  end)
end)
