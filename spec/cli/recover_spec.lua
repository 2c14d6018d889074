-- recover: after an accident that nobody was there to undo.

local process = require "support.process"
local program = require "cli.program"
local chat = require "support.chat"
local clients = require "support.clients"

describe("edeliver-relup NODE recover", function()
  local release, sockets

  setup(function()
    release = chat.start()
    sockets = clients.open { port = release.ports.endpoint, count = 6 }
  end)

  teardown(function()
    if sockets then sockets:stop() end
    if release then release:stop() end
  end)

  it("finds nothing where nothing happened", function()
    local found = program.json("NODE recover", { node = release })
    assert.equal(0, found.code, found.err)
    assert.same({ ok = true, found = 0, undos = 0, still_suspended = {}, still_undone = 0 }, found.json.result)
  end)

  it("names nothing after a plain suspend but who is suspended", function()
    assert.equal(0, program.run("NODE suspend", { node = release }).code)
    local shown = program.run("NODE recover --dry-run", { node = release })
    assert.matches("6 processes are suspended", shown.out, 1, true)
    assert.is_nil(shown.out:find("to be undone", 1, true), shown.out)
    local done = program.json("NODE recover", { node = release })
    assert.same({ 0, 6, 0 }, { done.code, done.json.result.found, done.json.result.undos })
    assert.equal(0, release:suspended())
  end)

  it("shows what there is, and then undoes it", function()
    assert.equal(0, program.run("NODE suspend", { node = release }).code)
    release:eval [[
      [{_, Sup, _, _}] = [C || {{ranch_embedded_sup, _}, _, _, _} = C <- supervisor:which_children('Elixir.Chat.Endpoint')],
      [Listener] = [P || {_, P, supervisor, _} <- supervisor:which_children(Sup)],
      [Acceptors] = [P || {ranch_acceptors_sup, P, _, _} <- supervisor:which_children(Listener)],
      [supervisor:terminate_child(Acceptors, Id) || {Id, _, _, _} <- supervisor:which_children(Acceptors)] ]]
    local shown = program.run("NODE recover --dry-run", { node = release })
    assert.equal(0, shown.code, shown.err)
    assert.matches("6 processes are suspended", shown.out, 1, true)
    assert.matches("to be undone: 100 acceptors of 'Elixir.Chat.Endpoint.HTTP'", shown.out, 1, true)
    assert.equal(6, release:suspended())
    local done = program.json("NODE recover", { node = release })
    assert.equal(0, done.code, done.err)
    assert.equal(6, done.json.result.found)
    assert.equal(0, release:suspended())
    assert.equal("200 1.0.0 6", sockets:body(sockets:get(release.ports.endpoint, "/"), 3000))
  end)

  it("undoes what a journal still owes", function()
    local journal = release.folder .. "/run.jsonl"
    local upgraded = program.json("NODE upgrade 2.0.0 --journal " .. journal, { node = release })
    assert.equal(0, upgraded.code, upgraded.err)
    assert.equal(journal, upgraded.json.result.journal)
    assert.is_nil(process.read_file(journal):find(release.cookie, 1, true))
    local nothing = program.json("NODE recover " .. journal, { node = release })
    assert.equal(0, nothing.code, nothing.err)
    assert.equal(0, nothing.json.result.found)
    local refused = program.run({ release.name, "recover", release.folder .. "/none.jsonl" }, { node = release })
    assert.equal(2, refused.code)
  end)
end)
