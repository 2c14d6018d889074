local shared = require "support.shared"
local supervisor = require "edeliver.relup.otp.supervisor"
local term = require "edeliver.relup.term"
local live = require "support.live"

describe("otp.supervisor", function()
  local acceptors
  local top = term.atom "Elixir.Chat.Supervisor"
  local chat = shared(live.start)
  setup(function()
    acceptors = assert(chat.node:eval [[
      Children = supervisor:which_children(ranch_server:get_listener_sup(chat_workers)),
      element(2, lists:keyfind(ranch_acceptors_sup, 1, Children)).]])
  end)

  it("reads the children of several supervisors at once", function()
    local found = assert(supervisor.which_children(chat.node, { top, acceptors }))
    assert.equal(2, #found)
    local by_id = {}
    for _, child in ipairs(found[1]) do by_id[child.id.name] = child end
    assert.equal("supervisor", by_id["Elixir.Chat.Endpoint"].type)
    assert.equal("worker", by_id.chat_counter.type)
    assert.same({ "chat_counter" }, by_id.chat_counter.modules)
    assert.equal("pid", term.kind(by_id.chat_counter.pid))
    assert.equal(10, #found[2])
    assert.same({}, supervisor.which_children(chat.node, {}))
  end)

  it("counts them", function()
    assert.same({ { specs = 3, active = 3, supervisors = 1, workers = 2 } }, supervisor.count_children(chat.node, { top }))
  end)

  local function terminate(sups, ids)
    return chat.node:call("lists", "zipwith", { term.export("supervisor", "terminate_child", 2), sups, ids })
  end

  it("makes calls that restart children", function()
    local ids, sups = {}, {}
    for _, child in ipairs(supervisor.which_children(chat.node, { acceptors })[1]) do ids[#ids + 1] = child.id end
    for i = 1, #ids do sups[i] = acceptors end
    local function running()
      return supervisor.count_children(chat.node, { acceptors })[1].active
    end
    assert(terminate(sups, ids))
    assert.equal(0, running())
    assert.equal(term.atom "ok", chat.node:call(table.unpack(supervisor.restart_children(chat.node, sups, { ids[1], ids[2] }))))
    assert.equal(2, running())
    assert.equal(term.atom "ok", chat.node:call(table.unpack(supervisor.restart_children(chat.node, sups, ids))))
    assert.equal(10, running())
  end)

  it("restarts the rest where some are not there any more, and says which cannot be", function()
    local ids = {}
    for _, child in ipairs(supervisor.which_children(chat.node, { acceptors })[1]) do ids[#ids + 1] = child.id end
    local dead = assert(chat.node:call("erlang", "spawn", { term.atom "erlang", term.atom "node", term.list {} }))
    assert(terminate({ acceptors, acceptors }, { ids[1], ids[2] }))
    local sups = { dead, acceptors, acceptors, acceptors }
    local call = supervisor.restart_children(chat.node, sups, { ids[1], ids[1], term.atom "nobody", ids[2] })
    assert.equal(term.atom "ok", chat.node:call(table.unpack(call)))
    assert.equal(10, supervisor.count_children(chat.node, { acceptors })[1].active)
    -- One whose children have no names.
    local pool = assert(chat.node:eval
      "[{_, Pool, _, _} | _] = supervisor:which_children('Elixir.Chat.Endpoint.Elixir.Chat.UserSocket'), Pool.")
    call = supervisor.restart_children(chat.node, { pool, acceptors }, { term.atom "any", ids[1] })
    assert.matches("^{error,%[{<.*>,any,{error,simple_one_for_one}}%]}$", term.format(chat.node:call(table.unpack(call))))
  end)

  it("does not wait forever for a supervisor that sits suspended", function()
    assert.equal("ok", chat.node:bulk_suspend({ acceptors }, 1000))
    local found, message, code = supervisor.which_children(chat.node, { acceptors }, 100)
    assert.equal("ok", chat.node:bulk_resume({ acceptors }, 1000))
    assert.is_nil(found)
    assert.is_string(message)
    assert.equal("timeout", code)
  end)

  it("says that a supervisor is dead", function()
    local found, message, code = supervisor.which_children(chat.node, { term.atom "nobody" })
    assert.is_nil(found)
    assert.matches("noproc", message)
    assert.equal("exit", code)
  end)
end)
