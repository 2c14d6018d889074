-- A plan from what runs on a real node, a plain mix release, to a release: as from its folder, and what only the node can say.

local plan = require "edeliver.relup.plan"
local process = require "support.process"
local program = require "cli.program"
local releases = require "support.releases"

local said = releases.said
local term = require "edeliver.relup.term"

describe("a plan against a node", function()
  local folder, built, running, node

  setup(function()
    folder, built = process.temporary_folder(), releases.built()
    running = releases.start(releases.copy("1.0.0", folder))
    node = running:connect()
  end)
  teardown(function()
    if node then node:close() end
    if running then running:stop() end
    process.remove_folder(folder)
  end)

  it("says what a plan from its folder says, and how many processes run what changes", function()
    local from_folder = assert(plan.compare(built .. "/shop-1.0.0", built .. "/shop-2.0.0"))
    local made = assert(plan.compare(node, built .. "/shop-2.0.0"))
    assert.same(from_folder.modules.changed, made.modules.changed)
    assert.same(from_folder.modules.added, made.modules.added)
    assert.same(from_folder.modules.removed, made.modules.removed)
    assert.same(from_folder.protocols, made.protocols)
    assert.same(from_folder.files, made.files)
    assert.same(from_folder.configuration, made.configuration)
    assert.same(from_folder.applications, made.applications)
    assert.same({}, made.hot_patched)
    local count = {}
    for _, it in ipairs(made.processes) do count[it.module] = it.count end
    assert.equal(1, count["Elixir.Shop.Cart"])
    assert.equal(1, count["Elixir.Shop.Till"])
    assert.equal(1, count["Elixir.Shop.Tills"])
    assert.equal("cold", made.verdict)
    assert.same(said(from_folder), said(made))
    assert.matches("and 1 process of Shop.Cart keeps its old form as state", made.reasons[1].text, 1, true)
  end)

  it("asks the new release itself for children, in a VM beside the node that is gone afterwards", function()
    local made = assert(plan.compare(node, built .. "/shop-2.0.0"))
    assert.is_nil(made.next_vm_failed)
    assert.same({ { module = "Elixir.Shop.Tills", gained = { "Elixir.Shop.Printer" }, lost = { "Elixir.Shop.Drawer" },
      found_by = "next_vm" } }, made.supervisors)
    assert.same({ { application = "shop", module = "Elixir.Shop.Application", gained = { "Elixir.Shop.Cache" }, lost = {},
      found_by = "next_vm", specs = {} } }, made.started)
    local function runs(root)
      return process.output "cat /proc/[0-9]*/cmdline 2>/dev/null":find(root .. "/erts-", 1, true) ~= nil
    end
    assert.is_true(runs(running.root))
    assert.is_true(process.wait_until(function() return not runs(built .. "/shop-2.0.0") end, 10000))
  end)

  it("has the spec of a child that is to be started, as the new release gives it, and of no other", function()
    local made = assert(plan.compare(node, built .. "/shop-2.0.0", { start_children = { "Shop.Cache" } }))
    local child = made.started[1].specs["Elixir.Shop.Cache"]
    assert.equal("'Elixir.Shop.Cache'", tostring(child.id))
    assert.equal("{'Elixir.Shop.Cache',start_link,[[{size,10}]]}", tostring(child.spec:get(term.atom "start")))
    assert.truthy(table.concat(said(made), "\n"):find("note application_child_started Elixir.Shop.Cache", 1, true))
    made = assert(plan.compare(node, built .. "/shop-2.0.0"))
    assert.same({}, made.started[1].specs)
    local refused, message, code = plan.compare(node, built .. "/shop-2.0.0", { start_children = { "Shop.Cashe" } })
    assert.is_nil(refused)
    assert.equal("no_such_child", code)
    assert.equal("Shop.Cashe is no child that an application of shop 2.0.0 newly starts", message)
    assert.has_error(function() plan.compare(node, built .. "/shop-2.0.0", { start_child = {} }) end)
  end)

  it("is asked again when the release has come onto the node's disk, wherever it lies", function()
    local made = assert(plan.compare(node, built .. "/shop-2.0.0.tar.gz", { start_children = { "Shop.Cache" } }))
    assert.truthy(made.next_vm_failed)
    assert.equal("literals", made.started[1].found_by)
    assert.equal(made, plan.ask(made, built .. "/shop-2.0.0"))
    assert.is_nil(made.next_vm_failed)
    assert.equal("next_vm", made.started[1].found_by)
    assert.truthy(made.started[1].specs["Elixir.Shop.Cache"])
    made = assert(plan.compare(node, built .. "/shop-2.0.0.tar.gz", { root = built .. "/shop-2.0.0" }))
    assert.is_nil(made.next_vm_failed)
  end)

  it("compares the configuration that the new release's providers resolve with what runs, by key", function()
    assert.equal("ok", running:eval "application:set_env(shop, home, <<\"elsewhere\">>)")
    local made = assert(plan.compare(node, built .. "/shop-2.0.0"))
    assert.same({ "shop.color", "shop.home" }, made.configuration.changed)
    assert.same({ "shop.added" }, made.configuration.added)
    assert.equal("ok", running:eval "application:set_env(shop, home, <<\"nowhere\">>)")
  end)

  it("says where the new release cannot be asked, and keeps to literals", function()
    local made = assert(plan.compare(node, built .. "/shop-2.0.0.tar.gz"))
    assert.equal("literals", made.supervisors[1].found_by)
    assert.equal("it is not on the node's disk", made.next_vm_failed)
    local broken = releases.copy("2.0.0", folder)
    -- A release without a VM of its own is asked by the node's.
    assert(os.execute(("mv %s/erts-* %s/erts-0"):format(broken, broken)))
    assert.equal("next_vm", assert(plan.compare(node, broken)).supervisors[1].found_by)
    assert(os.execute(("echo 'exit 1' >> %s/releases/2.0.0/env.sh"):format(broken)))
    made = assert(plan.compare(node, broken))
    assert.equal("literals", made.supervisors[1].found_by)
    assert.truthy(table.concat(said(made), "\n"):find("warning next_vm_failed shop", 1, true))
  end)

  it("to what it runs already is empty", function()
    local made = assert(plan.compare(node, built .. "/shop-1.0.0.tar.gz"))
    assert.same({ "note nothing_changed shop" }, said(made))
  end)

  it("is the same where unpack_release has deleted the .rel file", function()
    local rel = running.root .. "/releases/1.0.0/shop.rel"
    local from_file = assert(plan.compare(node, built .. "/shop-2.0.0"))
    assert.equal("ok", running:eval(([[
      {ok, _} = file:copy("ROOT/releases/1.0.0/shop.rel", "ROOT/shop.rel"), ok = release_handler:create_RELEASES("ROOT",
        "ROOT/releases", "ROOT/releases/1.0.0/shop.rel", []), ok = supervisor:terminate_child(sasl_sup, release_handler),
      {ok, _} = supervisor:restart_child(sasl_sup, release_handler), ok]]):gsub("ROOT", running.root)))
    assert(os.remove(rel))
    local made = assert(plan.compare(node, built .. "/shop-2.0.0"))
    assert.same(said(from_file), said(made))
    assert.same(from_file.applications, made.applications)
    assert.same(from_file.old.order, made.old.order)
    for name, application in pairs(from_file.old.applications) do
      assert.equal(application.start_type, made.old.applications[name].start_type, name)
    end
    assert(os.rename(running.root .. "/shop.rel", rel))
  end)

  it("names who has funs of code that goes, or that will be other code", function()
    -- A fun of Shop.Drawer's own code, as it would be in somebody's table.
    assert(running:eval [==[
      {ok, {_, [{_, <<_:32, _:32, Arity:32, _:32, Index:32, Free:32, Uniq:32, _/binary>>}]}} =
        beam_lib:chunks(code:which('Elixir.Shop.Drawer'), ["FunT"]),
      Encoded = fun(T) -> <<131, B/binary>> = term_to_binary(T), B end,
      Body = iolist_to_binary([<<(Arity - Free)>>, 'Elixir.Shop.Drawer':module_info(md5), <<Index:32, Free:32>>,
        Encoded('Elixir.Shop.Drawer'), Encoded(Index), Encoded(Uniq), Encoded(self()), lists:duplicate(Free, <<106>>)]),
      Made = binary_to_term(<<131, 112, (byte_size(Body) + 4):32, Body/binary>>), true = is_function(Made),
      persistent_term:put(held_by_spec, {some, Made})]==])
    local made = assert(plan.compare(node, built .. "/shop-2.0.0"))
    local text
    for _, reason in ipairs(made.reasons) do
      if reason.code == "funs_held" and reason.place == "Elixir.Shop.Drawer" then text = reason.text end
    end
    assert.equal("Funs of Shop.Drawer are kept by the persistent_term held_by_spec.", text)
    assert(running:eval "persistent_term:erase(held_by_spec)")
    assert.is_nil(table.concat(said(assert(plan.compare(node, built .. "/shop-2.0.0"))), "\n"):find("funs_held", 1, true))
  end)

  it("names what was patched by hand, and how many run a module that goes", function()
    assert(running:eval [[
      Forms = [{attribute, 1, module, 'Elixir.Shop.Drawer'}, {attribute, 1, export, [{start_link, 1}]},
        {function, 1, start_link, 1, [{clause, 1, [{var, 1, '_'}], [], [{atom, 1, patched}]}]}],
      {ok, M, Bin} = compile:forms(Forms), code:purge(M), {module, M} = code:load_binary(M, "patched", Bin),
      P = spawn(fun() -> put('$initial_call', {M, init, 1}), register(gone, self()), receive stop -> ok end end), is_pid(P)]])
    local made = assert(plan.compare(node, built .. "/shop-2.0.0"))
    assert.same({ "Elixir.Shop.Drawer" }, made.hot_patched)
    local has = {}
    for _, reason in ipairs(made.reasons) do has[reason.code .. " " .. reason.place] = reason.text end
    assert.truthy(has["hot_patched Elixir.Shop.Drawer"])
    -- Not the child that the supervisor loses.
    assert.equal("Shop.Drawer goes, and 1 process runs in its code.", has["removed_module_runs Elixir.Shop.Drawer"])
    assert(running:eval "gone ! stop")
  end)

  it("names what is loaded and comes from no file at all", function()
    assert(running:eval [[
      {ok, M, Bin} = compile:forms([{attribute, 1, module, brought_by_hand}], []), {module, M} = code:load_binary(M, "", Bin)]])
    local made = assert(plan.compare(node, built .. "/shop-2.0.0"))
    assert.truthy(table.concat(made.hot_patched, " "):find("brought_by_hand", 1, true))
    assert.truthy(table.concat(said(made), "\n"):find("warning loaded_by_hand brought_by_hand", 1, true))
    assert.equal("true", running:eval "code:delete(brought_by_hand), code:purge(brought_by_hand), true")
  end)

  it("of a node that runs no release of its own is refused in words", function()
    local plain <close> = setmetatable({ node = require("support.node").start() }, { __close = function(it) it.node:stop() end })
    local to <close> = plain.node:connect()
    local made, message, code = plan.compare(to, built .. "/shop-2.0.0")
    assert.is_nil(made)
    assert.equal("no_release", code)
    assert.matches("^" .. plain.node.name:gsub("%p", "%%%0") .. " does not run a release: it was started by the boot script of "
      .. "Erlang/OTP %d+ itself$", message)
  end)

  it("is what the program shows: NODE plan NEW", function()
    local document = program.json(("NODE plan %s/shop-2.0.0.tar.gz"):format(built), { node = running })
    assert.equal(1, document.code)
    assert.equal(running.name, document.json.node)
    assert.same({ module = "Elixir.Shop.Cart", count = 1, found_by = "initial_call" }, document.json.result.processes[1])
    local shown = program.run({ "plan", running.name, built .. "/shop-2.0.0" }, { node = running })
    assert.equal(1, shown.code)
    assert.matches("processes of +number +found by\nShop.Cart +1 +initial_call\n", shown.out)
    assert.equal(2, program.run({ "plan", "none@127.0.0.1", built .. "/shop-2.0.0" }, { node = running }).code)
  end)

  it("finds an upgrade hot where nobody runs what would make it cold", function()
    assert.equal("ok", running:eval "supervisor:terminate_child('Elixir.Shop.Supervisor', 'Elixir.Shop.Cart')")
    local made = assert(plan.compare(node, built .. "/shop-2.0.0"))
    assert.equal("hot", made.verdict)
    assert.equal("warning struct_may_be_in_states Elixir.Shop.Cart", said(made)[4])
    assert.matches("^{ok,", running:eval "supervisor:restart_child('Elixir.Shop.Supervisor', 'Elixir.Shop.Cart')")
  end)

  it("is cold where a struct that changes is in somebody's state, though nobody's code says so", function()
    assert.equal("ok", running:eval "supervisor:terminate_child('Elixir.Shop.Supervisor', 'Elixir.Shop.Cart')")
    assert(running:eval [==[ Carts = [{1, 'Elixir.Shop.Cart':'__struct__'()}],
      {ok, Agent} = 'Elixir.Agent':start(fun() -> #{carts => Carts} end),
      register(kept_carts, Agent) ]==])
    local made = assert(plan.compare(node, built .. "/shop-2.0.0"))
    assert.equal("cold", made.verdict)
    assert.equal("cold struct_in_states Elixir.Shop.Cart", said(made)[1])
    -- An agent counts as one of the module whose fun has begun it.
    assert.equal("The struct Shop.Cart gains the field coupon and loses the field owner. 1 process of erl_eval has it in its "
      .. "state, and no code_change converts it.", made.reasons[1].text)
    -- A name of a module is no struct, and what a supervisor has are arguments.
    assert(running:eval [==[ 'Elixir.Agent':update(kept_carts, fun(_) -> ['__struct__', {'Elixir.Shop.Cart', x}] end),
      supervisor:start_child('Elixir.Shop.Supervisor', #{id => carts, restart => temporary,
        start => {erlang, apply, [fun(_) -> ignore end, ['Elixir.Shop.Cart':'__struct__'()]]}}) ]==])
    assert.equal("hot", assert(plan.compare(node, built .. "/shop-2.0.0")).verdict)
    assert.equal("ok", running:eval "'Elixir.Agent':stop(kept_carts)")
    assert.matches("^{ok,", running:eval "supervisor:restart_child('Elixir.Shop.Supervisor', 'Elixir.Shop.Cart')")
  end)

  it("finds processes of every kind, each once", function()
    assert(running:eval [==[
      Spawn = fun(Call) -> proc_lib:spawn(fun() -> put('$initial_call', Call), receive stop -> ok end end) end,
      Channels = [Spawn({'Elixir.Shop.Cart', join, 3}) || _ <- [1, 2]], View = Spawn({'Elixir.Shop.Cart', mount, 3}),
      Task = spawn('Elixir.Shop.Native', module_info, []), true = is_pid(Task),
      Named = #{id => named, start => {erlang, apply, [fun() -> {ok, spawn_link(timer, sleep, [infinity])} end, []]},
        modules => ['Elixir.Shop.Native']},
      {ok, _} = supervisor:start_child('Elixir.Shop.Supervisor', Named),
      register(ended_by_spec, spawn(fun() -> receive stop -> [exit(P, kill) || P <- [View | Channels]] end end))]==])
    local made = assert(plan.compare(node, built .. "/shop-2.0.0"))
    local found = {}
    for _, it in ipairs(made.processes) do found[#found + 1] = ("%s %d %s"):format(it.module, it.count, it.found_by) end
    assert.same({ "Elixir.Shop.Cart 2 channel", "Elixir.Shop.Cart 1 initial_call", "Elixir.Shop.Cart 1 live_view",
      "Elixir.Shop.Drawer 1 initial_call", "Elixir.Shop.Native 1 supervisor", "Elixir.Shop.Till 1 initial_call",
      "Elixir.Shop.Tills 1 initial_call" }, found)
    assert.equal(4, made.count_of["Elixir.Shop.Cart"])
    assert(running:eval "ok = supervisor:terminate_child('Elixir.Shop.Supervisor', named), \
      ok = supervisor:delete_child('Elixir.Shop.Supervisor', named), ended_by_spec ! stop")
  end)

  it("knows the room on the node's disk, and its emulator", function()
    local made = assert(plan.compare(node, built .. "/shop-2.0.0"))
    assert.is_true(made.free > 0 and made.needs > 10000)
    assert.equal(made.old.erts, made.running_erts)
    made.free = 1000
    made = assert(plan.ask(made, built .. "/shop-2.0.0"))
    assert.truthy(table.concat(said(made), "\n"):find("cold no_room shop", 1, true))
    made.running_erts = "1.2.3"
    made = assert(plan.ask(made, built .. "/shop-2.0.0"))
    assert.truthy(table.concat(said(made), "\n"):find("cold erts_changed", 1, true))
  end)

  it("changes nothing on the node", function()
    local ask = "{length(code:all_loaded()), lists:sort([M || {M, _} <- code:all_loaded(), erlang:check_old_code(M)])}"
    local before = running:eval(ask)
    assert(plan.compare(node, built .. "/shop-2.0.0"))
    assert.equal(before, running:eval(ask))
  end)
end)
