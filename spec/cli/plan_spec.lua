-- plan: the exit codes, the page and the document.

local process = require "support.process"
local program = require "cli.program"
local releases = require "support.releases"

describe("edeliver-relup plan", function()
  local old, new, folder

  setup(function()
    folder = process.temporary_folder()
    old, new = releases.built() .. "/shop-1.0.0", releases.built() .. "/shop-2.0.0.tar.gz"
  end)
  teardown(function() process.remove_folder(folder) end)

  it("exits with 1 for a cold upgrade, and says why and what to do", function()
    local ran = program.run { "plan", old, new }
    assert.equal(1, ran.code, ran.err)
    assert.matches("^shop 1%.0%.0 to 2%.0%.0: cold, 1 reason to restart instead, 3 warnings\n", ran.out)
    assert.matches("cold     The struct Shop.Cart gains the field coupon", ran.out, 1, true)
    assert.matches("         next: Write a code_change/3 in Shop.Cart", ran.out, 1, true)
    assert.matches("\nmodules added (3): Shop.Cache, Shop.Price.BitString, Shop.Printer\n", ran.out, 1, true)
    assert.matches("\nconfiguration changed (1): shop.color\n", ran.out, 1, true)
    assert.is_nil(ran.out:find("blue", 1, true))
  end)

  it("shows values on demand, without secrets", function()
    local shown = program.run({ "plan", old, new, "--values" }).out
    assert.matches('- shop.color: <<"red">>\n+ shop.color: <<"blue">>\n', shown, 1, true)
    assert.is_nil(shown:find("s3cret", 1, true))
  end)

  it("exits with 0 for a hot one, and with --strict only without warnings", function()
    local path = releases.copy("1.0.0", folder)
    assert.equal(0, program.run({ "plan", old, path, "--strict" }).code)
    local priv = path .. "/lib/stock-0.1.0/priv"
    os.execute(("mkdir -p %s && echo x > %s/x"):format(priv, priv))
    assert.equal(0, program.run({ "plan", old, path }).code)
    assert.equal(1, program.run({ "plan", old, path, "--strict" }).code)
  end)

  it("--json gives the document whose names are promised", function()
    local document = program.json(("plan %s %s"):format(old, new)).json.result
    assert.equal("cold", document.verdict)
    local first = document.reasons[1]
    assert.same({ "cold", "struct_fields_changed", "Elixir.Shop.Cart" }, { first.level, first.code, first.place })
    assert.truthy(first.text and first.next)
    assert.same({ name = "stock", from = "0.1.0", to = "0.1.0", change = "changed_under_same_version" }, document.applications[9])
    assert.same({ "Elixir.Shop.Drawer" }, document.modules.removed)
    assert.same({ "Elixir.Shop.OnlyLines" }, document.modules.touched)
    assert.same({ "Elixir.Shop.Price" }, document.protocols)
    assert.same({ "shop.added" }, document.configuration.added)
    assert.same({}, document.processes)
    assert.same({}, document.hot_patched)
    local names = {}
    for name in pairs(document) do names[#names + 1] = name end
    table.sort(names)
    assert.equal("applications configuration hot_patched modules processes protocols reasons verdict", table.concat(names, " "))
  end)

  it("fails where what it makes cannot be written, also where the disk is full", function()
    local full = program.run { "plan", old, new, "--relup", "/dev/full", "--anyway" }
    assert.equal(2, full.code, full.out)
    assert.matches("cannot write /dev/full: No space left on device", full.err, 1, true)
    local none = program.run { "plan", old, new, "--appup", folder .. "/none" }
    assert.equal(2, none.code)
    assert.matches("cannot write " .. folder .. "/none/", none.err, 1, true)
  end)

  it("writes no relup through a cold upgrade, unless that is said", function()
    local path = folder .. "/cold"
    local ran = program.run { "plan", old, new, "--relup", path }
    assert.equal(1, ran.code)
    assert.matches("no relup was written: the upgrade from 1.0.0 is cold. Mend what the reasons say, or say --anyway", ran.err,
      1, true)
    assert.is_nil(io.open(path))
    ran = program.run { "plan", old, new, "--relup", path, "--anyway" }
    assert.equal(1, ran.code)
    assert.matches("It leads through a cold upgrade: what the reasons above say, it does not do.", ran.out, 1, true)
    assert.truthy(process.read_file(path):find "shop")
  end)

  it("takes the children that will be started by hand, and refuses a name that none has", function()
    local ran = program.run { "plan", old, new, "--start-child", "Shop.Cache" }
    assert.matches("note     Shop.Application starts Shop.Cache in the new release. It is started by --start-child.", ran.out,
      1, true)
    ran = program.run { "plan", old, new, "--start-child", "Shop.Cashe" }
    assert.equal(1, ran.code)
    assert.matches("Shop.Cashe is no child that an application of shop 2.0.0 newly starts", ran.err, 1, true)
  end)

  it("says where a word is empty", function()
    for _, words in ipairs { { "plan", old, "" }, { "plan", "", new }, { "plan", old, new, "--relup", "" } } do
      local ran = program.run(words)
      assert.equal(64, ran.code)
      assert.matches(" is empty: is a variable not set?", ran.err, 1, true)
    end
  end)

  it("--relup and --appup write what systools would, and say what no relup reaches", function()
    local ran = program.run { "plan", old, new, "--relup", folder .. "/relup", "--appup", folder, "--anyway" }
    assert.equal(1, ran.code, ran.err)
    assert.matches("The relup is in " .. folder .. "/relup.", ran.out, 1, true)
    assert.matches("stock has other content under the same version 0.1.0: the relup does not load it.", ran.out, 1, true)
    assert.matches("The protocol Shop.Price consolidates anew: no relup reaches that.", ran.out, 1, true)
    assert.equal(0, program.run({ "lint", folder .. "/relup" }).code)
    local appup = process.read_file(folder .. "/shop.appup")
    for _, instruction in ipairs { "{update,'Elixir.Shop.Tills',supervisor}", "{update,'Elixir.Shop.Till',{advanced,[]}}",
      "{add_module,'Elixir.Shop.Cache'}", "{delete_module,'Elixir.Shop.Drawer'}", "{load_module,'Elixir.Shop.Native'}" } do
      assert.truthy(appup:gsub("%s+", ""):find(instruction, 1, true), instruction)
    end
    assert.is_nil(appup:find("Shop.Price'", 1, true))
    assert.equal(2, program.run({ "plan", old, new, "--relup", folder .. "/none/relup", "--anyway" }).code)
  end)

  it("exits with 2 where a release cannot be read", function()
    local ran = program.run { "plan", old, folder .. "/none" }
    assert.equal(2, ran.code)
    assert.matches("none", ran.err, 1, true)
  end)
end)
