-- What a node answers is looked at before it is taken apart: by the shapes, and by everybody who asks.

local core = require "edeliver.relup.core"
local node_class = require "edeliver.relup.node"
local shape = require "edeliver.relup.node.shape"
local term = require "edeliver.relup.term"

local atom, tuple, list, charlist = term.atom, term.tuple, term.list, term.charlist

local PID = term.types.new_opaque("pid", "Xw\6node@h\0\0\0\1\0\0\0\0\0\0\0\3")

describe("shape", function()
  it("tells kinds", function()
    assert.is_true(shape.atom(atom "ok") and shape.boolean(false) and shape.integer(1) and shape.binary "x")
    assert.is_true(shape.pid(PID))
    assert.is_false(shape.atom(true) or shape.atom "ok" or shape.integer(1.0) or shape.binary(charlist "x") or shape.pid(1))
    assert.is_true(shape.text(charlist "x") and shape.text "x" and shape.text(atom "x"))
    assert.is_false(shape.text(1) or shape.text(tuple {}))
    assert.is_true(shape.is(atom "ok")(atom "ok"))
    assert.is_false(shape.is(atom "ok")(atom "error"))
  end)

  it("tells tuples by their elements, lists by their items and length", function()
    local pair = shape.tuple(shape.atom, shape.any)
    assert.is_true(pair(tuple { atom "a", false }))
    for _, other in ipairs { 1, "ab", charlist "ab", tuple {}, tuple { atom "a" }, tuple { 1, 2 }, tuple { atom "a", 1, 2 },
      list { atom "a", 1 }, term.map { atom "a", 1 } } do assert.is_false(pair(other)) end
    local integers = shape.list(shape.integer)
    assert.is_true(integers(list {}) and integers { 1 } and integers(list { 1, 2 }) and integers(charlist "ab"))
    for _, other in ipairs { list { 1, "x" }, list({ 1 }, 2), tuple { 1 }, 1, "ab" } do assert.is_false(integers(other)) end
    assert.is_true(shape.list(nil, 2) { 1, "x" })
    assert.is_false(shape.list(nil, 2) { 1 })
    local either = shape.either(shape.integer, pair)
    assert.is_true(either(1) and either(tuple { atom "a", 1 }))
    assert.is_false(either "x")
  end)

  it("makes texts harmless", function()
    assert.equal("1.0\\x1B[2J\\x0A", shape.to_text(charlist "1.0\27[2J\n"))
    assert.equal("\\x9B", shape.to_text "\x9B")
    assert.equal("ok", shape.to_text(atom "ok"))
    assert.is_nil(shape.to_text(1))
  end)

  it("passes on what has it, and refusals; the rest is protocol", function()
    local node = { name = "app@h" }
    assert.equal(1, shape.expect(node, "m:f", shape.integer, 1))
    assert.same({ nil, "no", "error", 1, n = 4 }, table.pack(shape.expect(node, "m:f", shape.integer, nil, "no", "error", 1)))
    local value, message, code = shape.expect(node, "m:f", shape.integer, charlist "x")
    assert.is_nil(value)
    assert.equal("protocol", code)
    assert.equal("app@h answered m:f in a shape that is not known here: charlist", message)
    assert.same({ nil, "protocol" }, { nil, select(3, shape.expect(node, "m:f", shape.integer, false)) })
  end)
end)

-- Answers every question with the same.
local function liar(value)
  local function answer() return value end
  return {
    name = "liar@h", call = answer, eval = answer, await = answer, map = node_class.map, run = answer,
    expression = node_class.expression, connection = { call = answer }, eval_with_variables = node_class.eval_with_variables,
    request = function() return {} end, self = function() return PID end,
    pids = function(_, pids) return core.pids(pids) end, is_open = function() return true end, close = function() end,
    processes = function() return core.pids { PID } end, suspended = function() return core.pids {}, core.pids { PID } end,
    process_info = function(_, pids)
      local infos = {}
      for i = 1, #pids do
        infos[i] = { links = value, dictionary = value, current_function = value, message_queue_len = value }
      end
      return infos
    end,
  }
end

local function module(name) return require("edeliver.relup." .. name) end

local function site(class, node)
  local listener = { ref = atom "x", pid = PID, connection_sups = { PID }, acceptors_sup = PID, acceptor_sups = {} }
  local made = { node = node, kind = "x", listeners = { listener }, endpoints = { atom "e" } }
  return setmetatable(made, module("web.servers." .. class))
end

local function context()
  return { config = { max_mailbox = 1, version = "2" }, suspended = function() return core.pids { PID } end,
    suspended_for = function() return 0 end, log = function() end }
end

-- A call that a guard makes.
local function call_in_flight(node)
  local guard = setmetatable({ node = node, pid = PID, token = "", epoch = 0, seen = 0 }, module "undo.guard")
  return module "undo.call_in_flight".new { guard = guard, claim = function() return nil, "lost", "guard_lost" end }
end

-- Everybody who takes an answer apart.
local ASKING = {
  modules = function(node) return module "otp.application".modules(node, "x") end,
  is_running = function(node) return module "otp.application".is_running(node, "x") end,
  which_releases = function(node) return module "otp.release_handler".which_releases(node) end,
  unpack_release = function(node) return module "otp.release_handler".unpack_release(node, "x-1") end,
  check_install_release = function(node) return module "otp.release_handler".check_install_release(node, "1") end,
  install_release = function(node) return module "otp.release_handler".install_release(node, "1") end,
  make_permanent = function(node) return module "otp.release_handler".make_permanent(node, "1") end,
  relup = function(node) return module "otp.relup".read(node, "1", "2") end,
  running_old_code = function(node) return module "otp.release_handler".running_old_code(node) end,
  loaded_modules = function(node) return module "otp.relup".loaded_modules(node, "1") end,
  remove_release = function(node) return module "otp.release_handler".remove_release(node, "1") end,
  walk = function(node) return module "otp.supervision_trees".walk(node) end,
  find_tarballs = function(node) return module "otp.tarball".find(node, "x", "1") end,
  read_tarball = function(node) return module "otp.tarball".read(node, "x-1") end,
  room = function(node) return module "step.room".to_unpack(node, { tarball = { bytes = 1 } }) end,
  next_start = function(node) return module "step.permanent".look(node, "1", "2") end,
  target = function(node) return module "step.target".find(node, "2", context()) end,
  environment_of = function(node)
    local target = { from = "1", version = "2", file = function() return "[]." end }
    return module "step.configuration".look(node, target, {}, context())
  end,
  which_children = function(node) return module "otp.supervisor".which_children(node, { PID }) end,
  count_children = function(node) return module "otp.supervisor".count_children(node, { PID }) end,
  endpoints = function(node) return module "web.phoenix.endpoints".of(node, { x = true }) end,
  idle_timeout = function(node) return module "web.phoenix.endpoints".idle_timeout(node, {}) end,
  count_polls = function(node) return module "web.phoenix.endpoints".count_polls(node) end,
  listeners = function(node) return module "web.listeners.ranch".listeners(node) end,
  look_below = function(node) return module "web.listeners.ranch".look_below(node, { { ref = atom "x", pid = PID } }) end,
  acceptors = function(node) return module "web.listeners.ranch".acceptors(node, { { ref = atom "x", acceptors_sup = PID } }) end,
  connections = function(node) return module "web.listeners.ranch".connections(node, { { connection_sups = { PID } } }) end,
  look_below_server = function(node) return module "web.listeners.thousand_island".look_below(node, { { pid = PID } }) end,
  connections_of_server = function(node)
    return module "web.listeners.thousand_island".connections(node, { { connection_sups = { PID } } })
  end,
  requests_of_server = function(node) return module "web.listeners.thousand_island".requests(node, { PID }) end,
  find_channels = function(node) return module "web.phoenix.channels".find(node, {}) end,
  channels_of = function(node) return module "web.phoenix.channels".of(node, core.pids { PID }, core.pids { PID }) end,
  hiding = function(node) return module "web.servers.cowboy".hiding(node, {}) end,
  count_visible = function(node) return module "web.servers.cowboy".count_visible(node, { PID }) end,
  requests = function(node) return module "web.servers.cowboy".requests(node, core.pids { PID }, {}) end,
  cowboy_1 = function(node) return site("cowboy_1", node):connections() end,
  supervised = function(node) return site("supervised", node):candidates() end,
  cowboy_on_ranch = function(node) return module "web.servers.cowboy_on_ranch".find(node, "x", {}) end,
  bandit = function(node) return module "web.servers.bandit".find(node, "x", {}) end,
  web = function(node) return module "web".find(node, "x", {}) end,
  guard_who = function(node) return module "undo.guard".who(node) end,
  guard_start = function(node) return module "undo.guard".start(node) end,
  guard_perform = function(node)
    local call = call_in_flight(node)
    local begun, message, code = call:begin("m", "f", {})
    if not begun then return nil, message, code end
    return call:wait(core.now() + 1000)
  end,
  guard_outlast = function(node)
    local call = call_in_flight(node)
    call.state = "runs"
    return call:outlast(core.now() + 1000, function() return true end)
  end,
  recover = function(node) return module "recover".run(node, nil, { log = function() end }) end,
  must_not_suspend = function(node) return module "step.must_not_suspend".check(node, core.pids { PID }) end,
  watch = function(node) return module "step.watch".watch(node, context()) end,
  install = function(node) return module "step.install".prepare(node, "2", context()) end,
  release_folder = function(node) return module "otp.release_folder".tarballs(node) end,
  md5 = function(node) return module "otp.release_folder".md5(node, "x") end,
  exists = function(node) return module "otp.release_folder".exists(node, "x") end,
  processes = function(node) return module "cli.processes".describe(node, { PID }) end,
  session_pids = function(node) return module "cli.session".pids(node, { "<0.1.0>" }) end,
  check_processes_running_old_code = function(node)
    return module "instructions.check_processes_running_old_code".run(node, "x", context())
  end,
  eval = function(node) return node_class.eval(node, "1.") end,
  eval_in_repl = function(node) return module "repl.erlang".new():eval(node, "1.") end,
}

local WRONG = {
  integer = 7, float = 1.5, binary = "\131\255", no = false, yes = true, atom = atom "what", empty_tuple = tuple {},
  one = tuple { atom "ok" }, pair = tuple { atom "ok", 7 }, four = tuple { atom "ok", 1, 2, 3 }, error = tuple { atom "error" },
  no_release = tuple { atom "error", tuple { atom "no_such_release" } }, charlist = charlist "abc",
  map = term.map { atom "a", 1 },
  empty = list {}, integers = list { 1 }, lists = list { list {}, list {} }, tuples = list { tuple {} }, pid = PID,
  pairs = list { tuple { 1, 2 } }, rows = list { tuple { atom "ok", 1, 2, 3 } }, improper = list({ atom "a" }, atom "b"),
  nested = list { list { list {} } }, of_rows = list { list { tuple { 1, 2, 3, 4 } } }, event = tuple { 1, tuple { 2, 3 } },
  many = list { tuple { atom "x", 1 }, tuple { atom "y", 1 }, tuple { atom "z", 1 } },
}

describe("an answer in another shape raises nothing", function()
  for name, ask in pairs(ASKING) do
    it("in " .. name, function()
      for kind, value in pairs(WRONG) do
        local ran, answer, message, code = pcall(ask, liar(value))
        assert.is_true(ran, kind .. ": " .. tostring(answer))
        if answer == nil and name ~= "idle_timeout" then
          assert.is_string(message, kind)
          assert.is_string(code, kind)
          assert.are_not.equal("lua", code)
          assert.truthy(#message > 15 and not message:find "%c", kind .. ": " .. message)
        end
      end
    end)
  end

  it("and most of it is protocol", function()
    for name in ([[modules is_running which_releases which_children endpoints listeners connections find_channels cowboy_1
      guard_start must_not_suspend install md5 eval web]]):gmatch "%S+" do
      local value, _, code = ASKING[name](liar(7))
      assert.is_nil(value, name)
      assert.equal("protocol", code, name)
    end
  end)
end)
