-- What a deploy does for pages that are open, and for endpoints: a real mix release, static files as Phoenix digests them, and an
-- endpoint of its shape.

local process = require "support.process"
local program = require "cli.program"
local releases = require("support.releases").of "depot"

local DIGEST = "0123456789abcdef0123456789abcdef"
local ENDPOINT = [[
-module('Elixir.Depot.Endpoint').
-export([start/0, init/1, url/0, static_url/0, path/1, static_path/1, config/1, config_change/2]).
start() -> {ok, Pid} = supervisor:start_link({local, ?MODULE}, ?MODULE, []), unlink(Pid), Pid.
init([]) -> {ok, {#{}, []}}.
url() -> <<>>. static_url() -> <<>>. path(P) -> P. static_path(P) -> P.
config(otp_app) -> depot.
config_change(Changed, Removed) -> persistent_term:put(told, {'Elixir.Depot.Version':version(), Changed, Removed}).
]]

describe("a deploy, for the web", function()
  local folder, root, running, built

  local function write(path, text)
    assert(os.execute(("mkdir -p $(dirname %s)"):format(process.quote(path))))
    local file <close> = assert(io.open(path, "wb"))
    assert(file:write(text))
  end
  local function with_assets(path, version, name)
    local static = ("%s/lib/depot-%s/priv/static/"):format(path, version)
    write(static .. "cache_manifest.json", ('{"digests":{"%s":{}}}'):format(name))
    write(static .. name, "of " .. version)
  end
  local old, new = "app-" .. DIGEST .. ".js", "app-" .. DIGEST:reverse() .. ".js"

  setup(function()
    folder = process.temporary_folder()
    root, built = releases:copy("1.0.0", folder), releases:copy("2.0.0", folder)
    with_assets(root, "1.0.0", old)
    with_assets(built, "2.0.0", new)
    running = releases:start(root, { DEPOT_HOME = "attic" })
    write(folder .. "/Elixir.Depot.Endpoint.erl", ENDPOINT)
    assert(os.execute(("erlc -o %s %s/*.erl"):format(folder, folder)))
    assert(running:eval(("{module, M} = code:load_abs(%q), is_pid(M:start())"):format(folder .. "/Elixir.Depot.Endpoint")))
  end)
  teardown(function()
    if running then running:stop() end
    process.remove_folder(folder)
  end)

  local function run(line, ...)
    return program.run("NODE " .. line:format(...) .. " --yes --no-sockets", { node = running })
  end
  local function asset(version, name) return process.read_file(("%s/lib/depot-%s/priv/static/%s"):format(root, version, name)) end

  it("takes away what it has carried over where it is refused", function()
    write(built .. "/releases/2.0.0/runtime.exs", 'import Config\nconfig :depot, home: raise("no vault")\n')
    local refused = run("deploy %s", built)
    assert.equal(1, refused.code)
    assert.matches("its config provider Config.Reader failed: .*no vault", refused.err)
    assert.is_nil(asset("2.0.0", old))
    assert.equal("of 1.0.0", asset("1.0.0", old))
    assert(os.execute(("cp %s/depot-2.0.0/releases/2.0.0/runtime.exs %s/releases/2.0.0/"):format(releases:built(), built)))
  end)

  it("keeps static files for pages that are open, and tells the endpoint", function()
    local done = run("deploy %s --values", built)
    assert.equal(0, done.code, done.err)
    assert.matches("1 static file carried over for pages that are open", done.out, 1, true)
    assert.matches("1 endpoint renewed", done.out, 1, true)
    assert.matches('depot.color: <<"red">> -> <<"blue">>', done.out, 1, true)
    assert.matches("depot.added: none -> [{deep,#{secret => ********}}]", done.out, 1, true)
    assert.equal("of 1.0.0", asset("2.0.0", old))
    assert.equal("of 2.0.0", asset("2.0.0", new))
    assert.equal("{2,[],[]}", running:eval "persistent_term:get(told)")
  end)

  it("does so on the way back, too", function()
    local done = run "rollback"
    assert.equal(0, done.code, done.err)
    assert.equal("of 2.0.0", asset("1.0.0", new))
    assert.equal("of 1.0.0", asset("1.0.0", old))
    assert.equal("{1,[],[]}", running:eval "persistent_term:get(told)")
  end)
end)
