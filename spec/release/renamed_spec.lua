-- Versions that nobody bumped: a release of mix with others, held against Erlang itself.

local connect = require("edeliver.relup.node").connect
local plan = require "edeliver.relup.plan"
local process = require "support.process"
local release_of = require "edeliver.relup.release"
local releases = require "support.releases"
local renamed = require "edeliver.relup.release.renamed"
local ship = require "edeliver.relup.deploy.ship"

describe("release.renamed", function()
  local folder, built, one, two
  setup(function()
    folder, built = process.temporary_folder(), releases.built()
    one, two = assert(release_of.open(built .. "/shop-1.0.0")), assert(release_of.open(built .. "/shop-2.0.0"))
  end)
  teardown(function() process.remove_folder(folder) end)

  it("gives an application another version, by its content, everywhere", function()
    local view = assert(renamed.of(two, { applications = { stock = true } }))
    local version = view.renamed.applications.stock
    assert.matches("^0%.1%.0%+h%x%x%x%x%x%x%x%x$", version)
    local stock = view.applications.stock
    assert.same({ version, "lib/stock-" .. version, version }, { stock.version, stock.folder, stock.app.version })
    assert.equal("2.0.0", view.version)
    assert.equal(two.modules["Elixir.Stock"].hash, view.modules["Elixir.Stock"].hash)
    local script = view.texts["releases/2.0.0/start.script"]
    assert.truthy(script:find(("$RELEASE_LIB/stock-%s/ebin"):format(version), 1, true))
    assert.is_nil(script:find("stock-0.1.0/", 1, true))
    assert.equal(two.texts["releases/2.0.0/sys.config"], view.texts["releases/2.0.0/sys.config"])
    -- The same content, the same version; another content, another one.
    assert.equal(version, assert(renamed.of(two, { applications = { stock = true } })).renamed.applications.stock)
    assert.are_not.equal(version, assert(renamed.of(one, { applications = { stock = true } })).renamed.applications.stock)
    assert.equal("0.1.0-mine", assert(renamed.of(two, { applications = { stock = "-mine" } })).renamed.applications.stock)
    assert.equal("missing", select(3, renamed.of(two, { applications = { nothing = true } })))
  end)

  it("gives a release another version, from a folder as from a tarball, with the paths of its sys.config", function()
    local view = assert(renamed.of(two, { version = true }))
    assert.matches("^2%.0%.0%+h%x%x%x%x%x%x%x%x$", view.version)
    assert.equal("releases/" .. view.version, view.folder)
    local config = view.texts[view.folder .. "/sys.config"]
    assert.matches("^%%%% coding: utf%-8\n%%%% RUNTIME_CONFIG=false\n", config)
    local init = view.configuration.elixir.config_provider_init
    assert.truthy(tostring(init):find(("/releases/%s/runtime.exs"):format(view.version), 1, true))
    assert.equal(view.folder .. "/shop.rel", view.rel_path)
    assert.truthy(next(view.protocols))
    local packed = assert(renamed.of(assert(release_of.open(built .. "/shop-2.0.0.tar.gz")), { version = true }))
    assert.equal(view.version, packed.version)
    local twice = assert(renamed.of(view, { version = "+more", applications = { stock = true } }))
    assert.equal(view.version .. ".more", twice.version)
    assert.matches("+h", twice.applications.stock.version, 1, true)
  end)

  it("compares as what it is", function()
    local view = assert(renamed.of(two, { applications = { stock = true }, version = true }))
    local plain, made = assert(plan.compare(one, two)), assert(plan.compare(one, view))
    local change = {}
    for _, application in ipairs(made.applications) do change[application.name] = application.change end
    assert.equal("changed", change.stock)
    assert.same(plain.modules.changed, made.modules.changed)
    assert.truthy(assert(plan.relup { made }).text:find(view.version, 1, true))
  end)

  it("makes files that Erlang reads as it should, and a release that starts", function()
    local node_folder = releases.copy("1.0.0", folder)
    local running <close> = releases.start(node_folder)
    local node <close> = assert(connect(running.name, { cookie = running.cookie, epmd_port = running.epmd_port }))
    local view = assert(renamed.of(two, { applications = { stock = true }, version = true }))
    local compared = assert(ship.compare(node, view))
    assert.same({}, compared.rename)
    assert(ship.send(node, compared))
    local own = ("%s/%s"):format(node_folder, view.folder)
    assert.equal("true", running:eval(([=[begin {ok, Boot} = file:read_file("%s/start.boot"),
      {ok, [Script]} = file:consult("%s/start.script"), binary_to_term(Boot) =:= Script end]=]):format(own, own)))
    assert.equal("true", running:eval(([=[begin {ok, [{release, {"shop", V}, _, Libs}]} = file:consult("%s/shop.rel"),
      {ok, [{application, stock, Keys}]} = file:consult("%s/lib/stock-%s/ebin/stock.app"),
      V =:= "%s" andalso proplists:get_value(vsn, Keys) =:= element(2, lists:keyfind(stock, 1, Libs)) end]=]):format(own,
      node_folder, view.renamed.applications.stock, view.version)))
    running:stop()
    local data = assert(io.open(node_folder .. "/releases/start_erl.data", "w"))
    data:write(("%s %s"):format(view.erts, view.version))
    data:close()
    local started <close> = releases.start(node_folder)
    assert.equal(('{"shop","%s"}'):format(view.version), started:eval "init:script_id()")
    assert.equal(('{ok,"%s"}'):format(view.renamed.applications.stock), started:eval "application:get_key(stock, vsn)")
    assert.matches(view.folder:gsub("%p", "%%%0") .. "/consolidated", started:eval "code:which('Elixir.Enumerable')")
  end)
end)
