-- What Phoenix needs when the release below it changes. Endpoint and LiveViews have the shapes of Phoenix's.

local connect = require("edeliver.relup.node").connect
local context = require "edeliver.relup.step.context"
local node_of = require "support.node"
local process = require "support.process"
local renewal = require "edeliver.relup.web.phoenix.renewal"
local term = require "edeliver.relup.term"

local ENDPOINT = [[
-module('Elixir.Shop.Endpoint').
-export([start/0, init/1, url/0, static_url/0, path/1, static_path/1, config/1, config_change/2]).
start() -> {ok, Pid} = supervisor:start_link({local, ?MODULE}, ?MODULE, []), unlink(Pid), Pid.
init([]) -> {ok, {#{}, []}}.
url() -> <<>>. static_url() -> <<>>. path(P) -> P. static_path(P) -> P.
config(otp_app) -> shop.
config_change(Changed, Removed) ->
  false = persistent_term:get(fails, false),
  persistent_term:put(told, [{Changed, Removed} | persistent_term:get(told, [])]).
]]

-- A LiveView: told by what started it.
local VIEW = [[
-module(shop_live).
-export([start/0, told/1]).
start() -> spawn(fun() -> put('$initial_call', {shop_live, mount, 3}), loop(0) end).
loop(N) -> receive {phoenix_live_reload, <<>>, <<>>} -> loop(N + 1); {told, From} -> From ! {told, N}, loop(N) end.
told(Pid) -> Pid ! {told, self()}, receive {told, N} -> N after 5000 -> late end.
]]

local DIGEST = "0123456789abcdef0123456789abcdef"

describe("web.renewal", function()
  local started, node, folder, said, ctx

  local function write(path, text)
    assert(os.execute(("mkdir -p $(dirname %s)"):format(process.quote(path))))
    local file <close> = assert(io.open(path, "wb"))
    assert(file:write(text))
  end
  local function compile(module, text)
    write(("%s/%s.erl"):format(folder, module), text)
    assert(os.execute(("erlc -o %s %s"):format(folder, process.quote(("%s/%s.erl"):format(folder, module)))))
    assert(started:eval(("{module, _} = code:load_abs(%q)"):format(("%s/%s"):format(folder, module))))
  end

  setup(function()
    started = node_of.start { name = "renewal" }
    folder = started.folder
    node = assert(connect(started.name, { cookie = started.cookie, epmd_port = started.epmd_port }))
    assert(started:eval(("os:putenv(\"RELDIR\", %q)"):format(folder .. "/releases")))
  end)
  teardown(function()
    if node then node:close() end
    started:stop()
  end)
  before_each(function()
    said = {}
    ctx = context.new { node = node, logger = function(_, text) said[#said + 1] = text end }
    started:eval "persistent_term:erase(told)"
  end)

  it("finds nothing to do where there is no Phoenix", function()
    assert.equal("", renewal.renew(node, {}, ctx))
    assert.same({ files = 0, bytes = 0, paths = {} }, assert(renewal.carry_over(node, "1", "2")))
  end)

  it("carries over the digested files that pages still ask for, and takes them back", function()
    local old, new = folder .. "/lib/shop-1/priv/static/", folder .. "/lib/shop-2/priv/static/"
    local app, css = ("assets/app-%s.js"):format(DIGEST), ("assets/app-%s.css"):format(DIGEST)
    write(folder .. "/releases/RELEASES", ('[{release,"shop","2","0",[{shop,"2","%s/lib/shop-2"},{same,"1","lib/same-1"}],'
      .. 'unpacked},{release,"shop","1","0",[{shop,"1","lib/shop-1"},{same,"1","lib/same-1"}],permanent}].\n'):format(folder))
    write(old .. "cache_manifest.json", ([[{"digests":{"%s":{"mtime":1},"%s":{},"../../secret-%s":{},"/etc/abs-%s":{},
      "absent-%s.js":{}},"latest":{"assets/app.js":"%s"},"version":1}]]):format(app, css, DIGEST, DIGEST, DIGEST, app))
    for _, name in ipairs { app, app .. ".gz", css, "robots.txt", "unknown-" .. DIGEST .. ".js" } do write(old .. name, name) end
    write(folder .. "/lib/shop-1/secret-" .. DIGEST, "s")
    write(new .. css, "the new one's own")
    local carried = assert(renewal.carry_over(node, "1", "2"))
    assert.equal(2, carried.files)
    assert.equal(app, process.read_file(new .. app))
    assert.equal(app .. ".gz", process.read_file(new .. app .. ".gz"))
    assert.equal("the new one's own", process.read_file(new .. css))
    assert.is_nil(process.read_file(new .. "robots.txt"))
    assert.is_nil(process.read_file(folder .. "/lib/shop-2/secret-" .. DIGEST))
    assert.equal(0, assert(renewal.carry_over(node, "1", "2")).files)
    assert(renewal.take_back(node, carried))
    assert.is_nil(process.read_file(new .. app))
    assert.equal(app, process.read_file(old .. app))
    assert.equal("the new one's own", process.read_file(new .. css))
  end)

  it("tells endpoints: the manifest anew, and the configuration where it changed", function()
    compile("Elixir.Shop.Endpoint", ENDPOINT)
    assert(started:eval "'Elixir.Shop.Endpoint':start(), application:set_env(shop, 'Elixir.Shop.Endpoint', [{url, new}])")
    assert.equal("1 endpoint renewed", renewal.renew(node, { term.tuple { term.atom "shop", term.atom "color" } }, ctx))
    assert.equal("[{[],[]}]", started:eval "persistent_term:get(told)")
    assert.same({}, said)
    assert(renewal.renew(node, { term.tuple { term.atom "shop", term.atom "Elixir.Shop.Endpoint" } }, ctx))
    assert.equal("{[{'Elixir.Shop.Endpoint',[{url,new}]}],[]}", started:eval "hd(persistent_term:get(told))")
    assert.matches("Elixir.Shop.Endpoint.* changed. Its url and secrets count now; http, https and server count when", said[1])
    assert(started:eval "persistent_term:put(fails, true)")
    assert(renewal.renew(node, {}, ctx))
    assert.matches("Elixir.Shop.Endpoint.* did not take the new configuration: .*badmatch", said[2])
    started:eval "persistent_term:erase(fails)"
  end)

  it("has LiveViews render again, all of them, where their version can", function()
    compile("shop_live", VIEW)
    local function with(version)
      assert(started:eval(([[application:unload(phoenix_live_view), ok = application:load({application, phoenix_live_view,
        [{vsn, %q}, {modules, []}, {registered, []}, {applications, []}]}),
        persistent_term:put(views, [shop_live:start() || _ <- lists:seq(1, 450)])]]):format(version)))
      local words = assert(renewal.renew(node, {}, ctx))
      local function told() return started:eval "lists:usort([shop_live:told(P) || P <- persistent_term:get(views)])" end
      process.wait_until(function() return told() ~= "[0]" and told() ~= "[0,1]" end, words:find "asked" and 5000 or 0)
      local answer = told()
      assert(started:eval "[exit(P, kill) || P <- persistent_term:get(views)]")
      return words:gsub("^1 endpoint renewed, ", ""), answer
    end
    local versions = { ["0.18.3"] = false, ["0.20.14"] = true, ["0.20.17"] = false, ["1.1.0-rc.1"] = false, ["1.2.10"] = true }
    for version, knows in pairs(versions) do
      local words, told = with(version)
      assert.equal(knows and "450 LiveViews asked to render again" or "LiveViews show the new code with their next event", words)
      assert.equal(knows and "[1]" or "[0]", told, version)
    end
  end)
end)
