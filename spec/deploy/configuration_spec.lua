-- The configuration of a deploy: resolved in the next VM, merged with what runs, held on the node, set inside the script.

local configuration = require "edeliver.relup.deploy.configuration"
local connect = require("edeliver.relup.node").connect
local consult = require "edeliver.relup.consult"
local context = require "edeliver.relup.step.context"
local environment = require "edeliver.relup.step.environment"
local guard = require "edeliver.relup.undo.guard"
local process = require "support.process"
local register = require "edeliver.relup.deploy.register"
local release_handler = require "edeliver.relup.otp.release_handler"
local release_of = require "edeliver.relup.release"
local releases = require("support.releases").of "depot"
local term = require "edeliver.relup.term"

-- A provider of the new release, whose module the node does not know before the swap. What it does says a file.
local PROVIDER = [[
-module(depot_provider).
-export([init/1, load/2]).
init(State) -> State.
load(Config, Path) ->
  case file:consult(Path) of
    {ok, [fails]} -> erlang:error({no_secret_in, <<"vault">>});
    {ok, [halts]} -> erlang:halt(1);
    {ok, [prints]} ->
      io:format("to nobody ~p~n", [lists:seq(1, 10000)]), io:format(standard_error, "to nobody either~n", []),
      'Elixir.Config.Reader':merge(Config, [{depot, [{printed, true}]}]);
    {ok, [hangs]} -> receive after infinity -> ok end;
    {ok, [no_list]} -> nothing;
    {ok, [{kernel, Value}]} -> 'Elixir.Config.Reader':merge(Config, [{kernel, [{of_provider, Value}]}]);
    {ok, [{large, Bytes}]} -> 'Elixir.Config.Reader':merge(Config, [{depot, [{large, binary:copy(<<"x">>, Bytes)}]}]);
    {error, enoent} ->
      'Elixir.Config.Reader':merge(Config, [{depot, [{local_fun, fun(X) -> {of_provider, X} end}, {extra_seen, extra(Config)},
        {node, node()}, {vsn, list_to_binary(os:getenv("RELEASE_VSN"))}]}])
  end.
extra(Config) -> proplists:get_value(extra, proplists:get_value(depot, Config)).
]]

describe("the configuration of a deploy", function()
  local folder, root, running, node, watched, said, state

  local function sh(command) return assert(os.execute(command)) end
  local function write(path, text)
    local file <close> = assert(io.open(path, "wb"))
    assert(file:write(text))
  end

  -- What a release's own sys.config says below elixir.config_provider_init is changed.
  local function change_init(version, text)
    assert.equal("ok", running:eval(([=[
      File = %q, {ok, [Config]} = file:consult(File), {value, {elixir, E}, Rest} = lists:keytake(elixir, 1, Config),
      {value, {_, Init}, Others} = lists:keytake(config_provider_init, 1, E),
      New = [{elixir, [{config_provider_init, (%s)(Init)} | Others]} | Rest],
      file:write_file(File, io_lib:format("~0tp.~n", [New]))]=]):format(
      ("%s/releases/%s/sys.config"):format(root, version), text)))
  end

  local function start_node()
    running = releases:start(root, { DEPOT_HOME = "attic", DEPOT_SECRET = "hush" })
    node = assert(connect(running.name, { cookie = running.cookie, epmd_port = running.epmd_port }))
    watched = assert(guard.start(node))
  end
  local function stop_node()
    if node then node:close() end
    if running then running:stop() end
    node, running = nil, nil
  end

  setup(function()
    folder = process.temporary_folder()
    root, state = releases:copy("1.0.0", folder), folder .. "/state"
    local next_root = releases:copy("2.0.0", folder)
    sh(("cp -rn %s/lib %s/; cp -r %s/releases/2.0.0 %s/releases/"):format(next_root, root, next_root, root))
    write(folder .. "/depot_provider.erl", PROVIDER)
    sh(("erlc -o %s/lib/depot-2.0.0/ebin %s/depot_provider.erl"):format(root, folder))
    start_node()
    change_init("2.0.0", ([=[fun(#{providers := P} = I) -> I#{providers := P ++ [{depot_provider, %q}],
      extra_config := [{depot, [{extra, given}]}]} end]=]):format(state))
  end)
  teardown(function()
    stop_node()
    process.remove_folder(folder)
  end)
  before_each(function()
    said = {}
    os.remove(state)
  end)

  local function context_of()
    local ctx = context.new { node = node, logger = function(level, text) said[#said + 1] = level .. ": " .. text end }
    ctx.guard = watched
    return ctx
  end
  local function resolve(options, from, to)
    return configuration.resolve(node, { version = to or "2.0.0", from = from or "1.0.0", root = root }, context_of(), options)
  end

  local function holder() return running:eval "whereis(edeliver_relup_configuration)" end
  local function env(app, key) return running:eval(("application:get_env(%s, %s)"):format(app, key)) end
  local function whole_env()
    return running:eval [[[{App, lists:sort(application:get_all_env(App))}
      || {App, _, _} <- lists:sort(application:loaded_applications())] ]]
  end
  local function refused(options)
    local before = whole_env()
    local resolved, message, code = resolve(options)
    assert.is_nil(resolved)
    assert.equal("configuration", code, message)
    assert.equal("undefined", holder())
    assert.equal(before, whole_env())
    assert.matches("Nothing was changed", message, 1, true)
    assert.matches("--keep-env", message, 1, true)
    return message
  end

  it("is a difference of keys against what runs, values on demand and masked", function()
    local resolved = assert(resolve { values = true })
    assert.same({ added = { "depot.added", "depot.extra", "depot.extra_seen", "depot.local_fun", "depot.node", "depot.vsn",
      "mails.from" }, removed = { "depot.dropped" }, changed = { "depot.color", "depot.format" } }, resolved.keys)
    assert.same({ before = '<<"red">>', after = '<<"blue">>' }, resolved.values["depot.color"])
    assert.same({ after = "[{deep,#{secret => ********}}]" }, resolved.values["depot.added"])
    assert.same({}, said)
    local with_values = resolved:describe()
    resolved.values = nil
    local words = resolved:describe()
    assert.truthy(resolved:leave())
    assert.truthy(resolved:leave())
    assert.matches("^configuration: 7 keys added %(depot.added, .*%), 1 key removed %(depot.dropped%), 2 keys changed", words)
    assert.matches('depot.color: <<"red">> -> <<"blue">>, depot.format', with_values, 1, true)
    assert.equal("undefined", holder())
  end)

  it("names the provider that fails, and why; nothing is changed", function()
    write(state, "fails.\n")
    local message = refused()
    assert.matches("its config provider depot_provider failed: ", message, 1, true)
    assert.matches("no_secret_in", message, 1, true)
    write(state, "no_list.\n")
    assert.matches("it gives no list", refused(), 1, true)
    local path = root .. "/releases/2.0.0/runtime.exs"
    local runtime = process.read_file(path)
    write(path, 'import Config\nconfig :depot, home: System.fetch_env!("NO_SUCH_VARIABLE")\n')
    local exs = refused()
    write(path, runtime)
    assert.matches('its config provider Config.Reader failed: .*"NO_SUCH_VARIABLE"', exs)
  end)

  it("waits no longer than it is told for a provider that hangs, and ends its VM", function()
    write(state, "hangs.\n")
    local started = process.now()
    assert.matches("depot_provider failed: {no_answer,3000,milliseconds}", refused { provider_timeout = 3000 }, 1, true)
    assert.is_true(process.now() - started < 10000 * process.patience)
    assert(process.wait_until(function()
      local lines = process.output "cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' '"
      return not lines:find(root .. "/releases/2.0.0/start_clean", 1, true)
    end, 10000), "the next VM stays")
  end)

  it("takes a provider that ends its VM for one that failed, and lets it print", function()
    write(state, "halts.\n")
    assert.matches("its config provider depot_provider failed", refused(), 1, true)
    assert.same({}, said)
    write(state, "prints.\n")
    local resolved = assert(resolve())
    assert.equal("depot.printed", resolved.keys.added[#resolved.keys.added - 1])
    assert(resolved:leave())
  end)

  it("refuses what would not start: a value that was compiled in, a fun in a file, kernel configured by a provider", function()
    change_init("2.0.0", [=[fun(I) -> I#{validate_compile_env := [{depot, [added, deep, none], error},
      {depot, [color], {ok, <<"green">>}}]} end]=])
    assert.matches("depot was compiled with another value of color, and does not start with this one", refused(), 1, true)
    change_init("2.0.0", "fun(I) -> I#{validate_compile_env := false, reboot_system_after_config := true} end")
    assert.matches("depot.format has a value that Elixir cannot write into a file, as a fun", refused(), 1, true)
    change_init("2.0.0", "fun(I) -> I#{reboot_system_after_config := false} end")
    write(state, "{kernel, 1}.\n")
    assert.matches("its providers configure kernel, which runs before them", refused(), 1, true)
  end)

  it("is resolved by the running code where no VM can be started beside the node, and that is said", function()
    sh(("mv %s/lib/depot-2.0.0/ebin/depot_provider.beam %s/"):format(root, folder))
    assert.equal("true", running:eval "code:delete(peer) andalso not code:purge(peer)")
    -- The node does not know the module.
    assert.matches("depot_provider failed: .*depot_provider.load/2 is undefined", refused())
    assert.matches("warning: No VM of 2.0.0 could be started beside .*its OTP is older than 25", said[1] or "")
    assert.equal("true", running:eval(('{module, _} = code:load_abs(%q), true'):format(folder .. "/depot_provider")))
    local resolved = assert(resolve())
    assert.same({ "depot.color", "depot.format" }, resolved.keys.changed)
    assert.truthy(resolved:leave())
    running:eval "code:purge(depot_provider), code:delete(depot_provider), code:purge(depot_provider)"
    sh(("mv %s/depot_provider.beam %s/lib/depot-2.0.0/ebin/"):format(folder, root))
    running:eval "code:load_abs(filename:join([code:lib_dir(stdlib), ebin, peer]))"
  end)

  it("keeps what runs where it is asked to: no provider is needed for that", function()
    write(state, "fails.\n")
    local resolved = assert(resolve { keep_env = true })
    assert.same({ added = { "depot.added" }, removed = {}, changed = {} }, resolved.keys)
    assert.truthy(resolved:leave())
  end)

  it("is made of a sys.config.src, as relx's start script does, and the file goes where the install fails", function()
    local folder_of = root .. "/releases/2.0.0/"
    local before = process.read_file(folder_of .. "sys.config")
    local source = before:gsub("%[{depot,%[", '[{depot,[{place,"in ${DEPOT_HOME}"},{other,"${NONE:-of nobody}${NONE}"},', 1)
    assert.are_not.equal(before, source)
    os.remove(folder_of .. "sys.config")
    write(folder_of .. "sys.config.src", source)
    local resolved = assert(resolve { values = true })
    assert.equal('"in attic"', resolved.values["depot.place"].after)
    assert.equal('"of nobody"', resolved.values["depot.other"].after)
    assert.truthy(resolved:leave())
    assert.truthy(process.read_file(folder_of .. "sys.config"))
    assert.truthy(resolved:take_back())
    assert.is_nil(process.read_file(folder_of .. "sys.config"))
    write(state, "fails.\n")
    refused()
    assert.is_nil(process.read_file(folder_of .. "sys.config"))
    write(folder_of .. "sys.config.src", "[{depot, ${DEPOT_HOME}]}].")
    assert.matches("No sys.config can be made of releases/2.0.0/sys.config.src on .*syntax error", (select(2, resolve())))
    os.remove(folder_of .. "sys.config.src")
    write(folder_of .. "sys.config", before)
  end)

  it("ends with the guard, wherever the operator is", function()
    assert(resolve())
    assert.are_not.equal("undefined", holder())
    running:eval "exit(whereis(edeliver_relup), kill)"
    assert(process.wait_until(function() return holder() == "undefined" end, 5000))
    watched = assert(guard.start(node))
  end)

  -- They go through the standard output of the next VM, and each provider is given what was resolved before it.
  it("holds 5 MB", function()
    write(state, "{large, 5000000}.\n")
    local started = process.now()
    local resolved = assert(resolve())
    local took = process.now() - started
    assert.is_true(took < 90000 * process.patience, ("%.0f ms"):format(took))
    assert.truthy(resolved:leave())
  end)

  describe("in an install", function()
    -- Both ways: the values, and one module.
    local function relup_of(resolved, more)
      local head = term.format(resolved.instruction) .. (more or "")
      return ('{"2.0.0",[{"1.0.0",[],[%s,point_of_no_return]}],[{"1.0.0",[],[%s,point_of_no_return]}]}.\n'):format(head, head)
    end

    local function install(resolved, version, more)
      local ctx = context_of()
      local relup = assert(consult.write(assert(consult.parse(relup_of(resolved, more)))))
      if version == "2.0.0" then
        assert(register.add(node, assert(release_of.open(root, { version = "2.0.0" })), { relup = relup, ctx = ctx }))
      end
      local before = whole_env()
      running:eval "persistent_term:put(depot_succeeds, true)"
      assert(release_handler.check_install_release(node, version))
      assert.equal(before, whole_env())
      running:eval "persistent_term:erase(depot_succeeds)"
      assert(environment.keep(node, ctx, version == "2.0.0" and "1.0.0" or "2.0.0"))
      assert(resolved:arm())
      local done, message = release_handler.install_release(node, version, 30000)
      assert(environment.settle(node, ctx, done ~= nil))
      return done, message, before
    end

    it("sets the values before anything else is done, keeps what applications have set, and finds what differs", function()
      running:eval "application:set_env(depot, of_its_own, fun() -> kept end), application:set_env(depot, color, <<\"red\">>)"
      local resolved = assert(resolve())
      assert.equal("1.0.0", assert(install(resolved, "2.0.0")))
      assert.equal('{ok,<<"blue">>}', env("depot", "color"))
      assert.equal('{ok,<<"attic">>}', env("depot", "home"))
      assert.equal("undefined", env("depot", "dropped"))
      assert.equal('{ok,given}', env("depot", "extra_seen"))
      assert.equal(("{ok,'%s'}"):format(running.name), env("depot", "node"))
      assert.equal('{ok,<<"2.0.0">>}', env("depot", "vsn"))
      -- An application that is loaded later finds its values, too.
      assert.equal('{ok,<<"depot@attic">>}', env("mails", "from"))
      assert.equal("ok", running:eval [=[application:load({application, mails, [{vsn, "1"}, {modules, []}, {registered, []},
        {applications, [kernel]}, {env, [{from, <<"nobody">>}]}]})]=])
      assert.equal('{ok,<<"depot@attic">>}', env("mails", "from"))
      -- Funs: of runtime.exs, of a module that comes with the swap, of nobody's but the running application's.
      assert.equal('<<"cba">>', running:eval "{ok, F} = application:get_env(depot, format), F(<<\"abc\">>)")
      assert.equal("{of_provider,1}", running:eval(([[
        {module, _} = code:load_abs(%q), {ok, F} = application:get_env(depot, local_fun), F(1)]]):format(
        root .. "/lib/depot-2.0.0/ebin/depot_provider")))
      assert.equal("kept", running:eval "{ok, F} = application:get_env(depot, of_its_own), F()")
      local verified = assert(resolved:verify())
      assert.same({}, verified.different)
      assert.equal(verified.keys, verified.equal)
      running:eval "application:set_env(depot, color, <<\"mauve\">>)"
      assert.same({ "depot.color" }, assert(resolved:verify()).different)
      running:eval "application:set_env(depot, color, <<\"blue\">>)"
      assert(resolved:leave())
    end)

    it("finds nothing to change a second time", function()
      local resolved = assert(resolve({}, "2.0.0", "2.0.0"))
      assert.same({ added = {}, removed = {}, changed = {} }, resolved.keys)
      assert(resolved:leave())
    end)

    it("brings the old values on the way down", function()
      local resolved = assert(resolve({}, "2.0.0", "1.0.0"))
      assert.same({ added = { "depot.dropped" }, changed = { "depot.color", "depot.format" }, removed = { "depot.added",
        "depot.extra", "depot.extra_seen", "depot.local_fun", "depot.node", "depot.vsn" } }, resolved.keys)
      assert(install(resolved, "1.0.0"))
      assert.equal('{ok,<<"red">>}', env("depot", "color"))
      assert.equal('{ok,<<"attic">>}', env("depot", "home"))
      assert.equal('<<"ABC">>', running:eval "{ok, F} = application:get_env(depot, format), F(<<\"abc\">>)")
      assert.equal("kept", running:eval "{ok, F} = application:get_env(depot, of_its_own), F()")
      assert.same({}, assert(resolved:verify()).different)
      assert(resolved:leave())
    end)

    it("leaves everything as it was where the install fails behind it", function()
      local resolved = assert(resolve())
      local done, message, before = install(resolved, "2.0.0", ",{apply,{persistent_term,get,[depot_succeeds]}}")
      assert.is_nil(done)
      assert.matches("badarg", message, 1, true)
      assert.equal(before, whole_env())
      assert(resolved:leave())
    end)
  end)
end)
