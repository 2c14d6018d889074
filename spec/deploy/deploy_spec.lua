-- The proof: a plain mix release with ten thousand processes is deployed, used, rolled back, deployed for good, and restarted; by
-- the program, as at a shell. And what is refused, with nothing touched.

local depots = require "support.depot"
local process = require "support.process"

local function failed(result) return ("%d: %s\n%s"):format(result.code, result.err, result.out) end

describe("a deploy of a plain mix release", function()
  local depot, vm, before

  setup(function()
    depot = depots.start { items = 10000 }
    vm = depot.release:pid()
  end)
  teardown(function() depot:stop() end)

  it("is planned first, and touches nothing", function()
    before = depot:disk()
    local planned = depot:deploy("2.0.0", "--plan")
    assert.equal(0, planned.code, failed(planned))
    local result = planned.json.result
    assert.equal("hot", result.plan.verdict)
    assert.same({ module = "Elixir.Depot.Item", count = 10000, found_by = "initial_call" }, result.plan.processes[2])
    assert.is_true(result.shipped.bytes < 200000 and result.shipped.files > 10, failed(planned))
    assert.equal(before, depot:disk())
    depot:is_whole "1.0.0"
    local shown = depot:run(("NODE deploy %s --plan"):format(depots.release "2.0.0"))
    assert.equal(0, shown.code)
    assert.matches("depot 1.0.0 to 2.0.0.*: hot", shown.out)
    assert.matches("To ship: %d+ files, [%d.]+ kB", shown.out)
  end)

  it("is live: code, states, protocol, children, applications, values; and says what it has seen", function()
    local result = depot:deploy "2.0.0"
    assert.equal(0, result.code, failed(result))
    local given = result.json.result
    assert.is_true(given.ok)
    assert.equal("hot", given.plan.verdict)
    assert.is_true(given.shipped.files > 10)
    assert.equal(given.verified.modules, given.verified.equal)
    assert.is_true(given.verified.modules > 400)
    assert.same({}, given.verified.different)
    assert.same({}, given.verified.children)
    assert.same({}, given.verified.values_different)
    assert.same({ possible = true }, given.way_back)
    assert.is_false(given.permanent)
    assert.equal("1.0.0", given.returns_to)
    depot:is_whole "2.0.0"
  end)

  it("leaves everything new to be used", function()
    assert.equal("1", depot:eval "'Elixir.Depot.Scanner':scan()")
    assert.equal("<<\"depot@here\">>", depot:eval "'Elixir.Mails':from()")
    assert.equal("ok", depot:eval [[
      [{_, First, _, _} | _] = supervisor:which_children('Elixir.Depot.Items'), register(first, First),
      ok = gen_server:call(first, reserve), gen_server:call(first, take)]])
    -- What code_change saw of the configuration was there already.
    assert.equal("[<<\"here\">>]", depot:eval [[
      lists:usort([proplists:get_value(saw, element(2, process_info(P, dictionary)))
                   || {_, P, _, _} <- supervisor:which_children('Elixir.Depot.Items')])]])
    assert.equal("false", depot:eval "code:is_loaded('Elixir.Depot.Inspector')")
    assert.equal("false", depot:eval "lists:keymember(labels, 1, application:loaded_applications())")
  end)

  it("goes back, with everybody's state", function()
    local result = depot:json "NODE rollback"
    assert.equal(0, result.code, failed(result))
    local given = result.json.result
    assert.equal("1.0.0", given.version)
    assert.equal(given.verified.modules, given.verified.equal)
    assert.same({}, given.verified.different)
    -- What was reserved is taken, by code_change on the way down.
    depot:is_whole("1.0.0", 2)
    assert.equal("false", depot:eval "code:is_loaded('Elixir.Depot.Scanner')")
    local again = depot:json "NODE rollback"
    assert.equal(1, again.code, failed(again))
    assert.equal("no_way_back", again.json.error.code)
  end)

  it("is deployed once more, for good, and then the next one over it", function()
    local result = depot:deploy("2.0.0", "--permanent")
    assert.equal(0, result.code, failed(result))
    assert.is_true(result.json.result.permanent)
    assert.is_true(result.json.result.shipped.bytes < 1000, failed(result))
    depot:is_whole("2.0.0", 2)
    local third = depot:run(("NODE deploy %s"):format(depots.release("3.0.0", true)))
    assert.equal(0, third.code, failed(third))
    assert.matches("(%d+) of %1 modules are those of 3.0.0", third.out)
    depot:is_whole("3.0.0", 2)
    assert.equal(vm, depot.release:pid())
  end)

  it("starts anew with what was made permanent", function()
    depot:shut()
    depot:boot()
    depot:is_whole "2.0.0"
    assert.equal("2.0.0", depot:running())
  end)

  it("goes on from there, over what was deployed before and not permanent", function()
    local result = depot:deploy("3.0.0", "--permanent")
    assert.equal(0, result.code, failed(result))
    depot:is_whole "3.0.0"
    local back = depot:json "NODE rollback"
    assert.equal(0, back.code, failed(back))
    depot:is_whole "2.0.0"
  end)
end)

describe("a deploy", function()
  local depot

  setup(function() depot = depots.start() end)
  teardown(function() depot:stop() end)

  -- A copy of 2.0.0 that a shell command has changed.
  local function changed(command)
    local path = depot.folder .. "/changed"
    assert(os.execute(("rm -rf %s && cp -r %s %s && cd %s && %s"):format(path, depots.release "2.0.0", path, path, command)))
    return path
  end

  local function is_refused(path, code, text, words)
    local before = depot:disk()
    local result = depot:json(("NODE deploy %s %s"):format(path, words or ""))
    assert.matches("^[12]$", tostring(result.code))
    assert.equal(code, result.json.error.code, failed(result))
    assert.matches(text, result.err, 1, true)
    assert.equal(before, depot:disk())
    depot:is_whole "1.0.0"
    return result
  end

  describe("is refused, and touches nothing,", function()
    it("where it is of another application", function()
      is_refused(require("support.releases").built() .. "/shop-2.0.0", "other_release", "they are not versions of one release")
    end)

    it("where it is no release", function()
      is_refused(depot.folder, "not_a_release", "is no release")
      is_refused("/nowhere", "missing", "No such file")
    end)

    it("where it is cold, and names each reason", function()
      local path = changed "echo '+P 500000' >>releases/2.0.0/vm.args && echo 'export A=1' >>releases/2.0.0/env.sh"
      is_refused(path, "cold", "vm.args changes. The VM reads it only when it starts.")
      local result = is_refused(path, "cold", "env.sh changes")
      assert.matches("for 2 reasons", result.err)
      assert.matches("`--anyway` overrides that", result.err, 1, true)
    end)

    it("where it was built for another VM, and nothing overrides that", function()
      local path = changed "sed -i 's/{erts,\"[^\"]*\"}/{erts,\"99.0\"}/' releases/2.0.0/depot.rel && mv erts-* erts-99.0"
      local result = is_refused(path, "cold", "The Erlang VM changes", "--anyway")
      assert.is_nil(result.err:find("overrides", 1, true))
    end)

    it("where it was built for another CPU", function()
      local path = changed [[printf '\267\000' | dd of=$(ls erts-*/bin/beam.smp) bs=1 seek=18 conv=notrunc 2>/dev/null]]
      local result = is_refused(path, "cold", "The release is built for aarch64", "--anyway")
      assert.is_nil(result.err:find("overrides", 1, true))
    end)

    it("where the new code does not take the state of a process, and takes away what was brought", function()
      assert.equal("ok", depot:eval [[
        [{_, P, _, _} | _] = supervisor:which_children('Elixir.Depot.Items'),
        put(kept, sys:get_state(P)), register(odd, P), odd = sys:replace_state(odd, fun(_) -> odd end),
        persistent_term:put(kept, get(kept))]])
      local files = depot:files()
      local result = depot:json(("NODE deploy %s"):format(depots.release "2.0.0"))
      assert.equal(1, result.code, failed(result))
      assert.equal("code_change", result.json.error.code)
      assert.matches("does not take the state of 1 process", result.err, 1, true)
      assert.equal("ok", depot:eval "Kept = persistent_term:get(kept), Kept = sys:replace_state(odd, fun(_) -> Kept end), ok")
      -- RELEASES stays: it was missing, and any upgrade needs it.
      assert.equal(files, (depot:files():gsub("%./releases/RELEASES\n", "")))
      depot:is_whole "1.0.0"
    end)

    it("where nobody has said yes, who was told what it is about", function()
      -- Another machine for all that the program can know.
      local result = is_refused(depots.release "2.0.0", "not_confirmed", "--yes confirms it", "--address 127.1")
      local question = ("Deploys depot on %s to 2.0.0 (hot), with no websockets, and 10"):format(depot.release.name)
      assert.matches(question, result.err, 1, true)
    end)

    it("where it is what runs already", function()
      is_refused(depots.release "1.0.0", "already_installed", "runs 1.0.0 already")
    end)
  end)

  it("names what --anyway overrides, and goes ahead", function()
    local path = changed "echo '+P 500000' >>releases/2.0.0/vm.args"
    local result = depot:run(("NODE deploy %s --anyway"):format(path))
    assert.equal(0, result.code, failed(result))
    assert.matches("overridden: vm.args changes", result.out, 1, true)
    depot:is_whole "2.0.0"
    assert.equal(0, depot:run("NODE rollback").code)
    depot:is_whole "1.0.0"
    assert.equal(0, depot:run("NODE remove 2.0.0").code)
  end)

  it("replaces a module that somebody has patched by hand, and names it", function()
    depot:eval [[
      Forms = [{attribute, 1, module, 'Elixir.Depot.Ledger'}, {attribute, 1, export, [{start_link, 1}]},
        {function, 1, start_link, 1, [{clause, 1, [{var, 1, '_'}], [], [{atom, 1, patched}]}]}],
      {ok, M, Bin} = compile:forms(Forms), code:purge(M), {module, M} = code:load_binary(M, "patched", Bin), ok]]
    local planned = depot:deploy("2.0.0", "--plan")
    assert.same({ "Elixir.Depot.Ledger" }, planned.json.result.plan.hot_patched)
    local result = depot:deploy "2.0.0"
    assert.equal(0, result.code, failed(result))
    depot:is_whole "2.0.0"
  end)

  it("of a version that runs and has other content gets another name where that is asked", function()
    local path = depot.folder .. "/other"
    assert(os.execute(("rm -rf %s && cp -r %s %s"):format(path, depots.release "2.0.0", path)))
    -- 3.0.0's code under the name of 2.0.0.
    for _, name in ipairs { "Item", "Version" } do
      assert(os.execute(("cp %s/lib/depot-3.0.0/ebin/Elixir.Depot.%s.beam %s/lib/depot-2.0.0/ebin/"):format(
        depots.release "3.0.0", name, path)))
    end
    local before = depot:disk()
    local refused = depot:json(("NODE deploy %s"):format(path))
    assert.equal(1, refused.code)
    assert.equal("version_unchanged", refused.json.error.code)
    assert.matches("--version-suffix", refused.err, 1, true)
    assert.equal(before, depot:disk())
    local result = depot:json(("NODE deploy %s --version-suffix"):format(path))
    assert.equal(0, result.code, failed(result))
    assert.matches("^2%.0%.0%+h%x%x%x%x%x%x%x%x$", result.json.result.version)
    assert.equal("3", depot:eval "'Elixir.Depot.Version':version()")
    local back = depot:json "NODE rollback"
    assert.equal(0, back.code, failed(back))
    depot:is_whole "2.0.0"
  end)

  it("is one of two at once; the other is refused", function()
    local results = {}
    local folder = process.temporary_folder()
    local commands = {}
    for i = 1, 2 do
      commands[i] = ("( ( %s ) ; echo $? >%s/code%d ) >%s/out%d 2>&1 &"):format(require("cli.program").command(
        { depot.release.name, "deploy", depots.release "3.0.0" }, { node = depot.release }), folder, i, folder, i)
    end
    assert(os.execute(table.concat(commands, " ") .. " wait"))
    for i = 1, 2 do
      local code = tonumber(process.read_file(("%s/code%d"):format(folder, i)))
      results[code] = process.read_file(("%s/out%d"):format(folder, i))
    end
    process.remove_folder(folder)
    assert.truthy(results[0], "none of both was installed")
    assert.truthy(results[1], "none of both was refused")
    assert.matches("is active on", results[1], 1, true)
    depot:is_whole "3.0.0"
  end)
end)
