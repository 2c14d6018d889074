-- Erlang text as calls: what is said of a wrong one before anything is sent, and what a node makes of a right one.

local shared = require "support.shared"
local term = require "edeliver.relup.term"
local erlang_node = require "support.node"
local process = require "support.process"

local atom, tuple = term.atom, term.tuple

-- The modules of the library, by name.
local function names()
  local found = {}
  for path in io.popen("ls lua/edeliver/relup/erlang/*.erl"):lines() do
    found[#found + 1] = path:match "([^/]*)%.erl$"
  end
  return found
end

describe("Erlang modules", function()
  local node
  local started = shared(erlang_node.start)
  setup(function() node = started:connect() end)
  teardown(function() node:close() end)

  it("are run with the arguments of run/N bound, whose names are found in the text", function()
    assert.is_true(node:run("forget", { Carrier = node:run("carrier", { Pid = node:self() }), New = node:self() }))
    assert.equal(atom "ok", node:run("restart_children", { Children = {} }))
  end)

  it("raise for a binding that is missing or misspelt, and for a module that is none; nothing is sent", function()
    local connection = node.connection
    node.connection = {}
    finally(function() node.connection = connection end)
    assert.has_error(function() node:run("restart_children", {}) end, "run of restart_children.erl needs a binding for Children")
    assert.has_error(function() node:run "restart_children" end, "run of restart_children.erl needs a binding for Children")
    assert.has_error(function() node:run("restart_children", { Children = {}, children = {} }) end,
      "run of restart_children.erl has no argument children")
    assert.has_error(function() node:expression("forget", { Carrier = 1 }) end, "run of forget.erl needs a binding for New")
    assert.has_error(function() node:run("nothing", {}) end)
  end)

  it("may have parts, which are modules, too, and which nobody binds", function()
    assert.has_error(function() node:run("rehearse", { Changes = {}, Load = {}, Most = 1, Timeout = 1, ReleaseFiles = 1 }) end,
      "run of rehearse.erl has no argument ReleaseFiles")
    assert.matches("^#Fun<", tostring(node:run("rehearse", { Changes = {}, Load = {}, Most = 1, Timeout = 5000 })))
  end)

  it("blame who called", function()
    local _, message = pcall(function() node:run("forget", {}) end)
    assert.matches("^spec/node/erlang_spec.lua:%d+: run of forget.erl", message)
    _, message = pcall(function() node:expression("forget", {}) end)
    assert.matches("^spec/node/erlang_spec.lua:%d+: run of forget.erl", message)
  end)

  it("make calls that can be kept, and made over any connection", function()
    local call = node:expression("restart_children", { Children = { tuple { atom "nobody", 1 } } })
    local other <close> = started:connect()
    assert.equal(atom "ok", other:call(table.unpack(call)))
    assert.equal(atom "ok", other:act(table.unpack(call)))
  end)

  it("are evaluated in one call", function()
    local calls, connection = 0, node.connection
    node.connection = setmetatable({}, { __index = function(_, method)
      return function(_, ...)
        calls = calls + 1
        return connection[method](connection, ...)
      end
    end })
    finally(function() node.connection = connection end)
    node:run("restart_children", { Children = {} })
    assert.equal(1, calls)
    node:eval "1 + 1."
    assert.equal(2, calls)
    node:eval_with_variables "X = 1."
    assert.equal(3, calls)
  end)

  it("fail by their name, with the reason", function()
    local value, message, code, reason = node:run("restart_children", { Children = 7 })
    assert.is_nil(value)
    assert.matches("restart_children.erl failed on " .. started.name, message, 1, true)
    assert.equal("error", code)
    assert.equal("tuple", term.kind(reason) == "atom" and "tuple" or term.kind(reason))
  end)

  it("all parse on the node, and have a run that is found", function()
    for _, name in ipairs(names()) do
      local file = assert(io.open(("lua/edeliver/relup/erlang/%s.erl"):format(name)))
      local text = file:read "a"
      file:close()
      assert.matches("\n%-module%(" .. name .. "%)%.", text, name)
      local body = assert(text:match "\nrun%([%w_,%s]*%)%s*%->(.*)$", name)
      assert.equal(1, node:eval("F = fun() -> " .. body:gsub("%.%s*$", "") .. " end, is_function(F), 1."), name)
    end
  end)

  -- Where the time of a receive that erl_eval evaluates ends in the middle of a match, the emulator crashes: see guard.erl.
  it("have no receive with a time of its own", function()
    for _, name in ipairs(names()) do
      local text = assert(process.read_file(("%s/lua/edeliver/relup/erlang/%s.erl"):format(process.root, name)))
      local timed = assert(node:eval([[
        {ok, Tokens, _} = erl_scan:string(Text),
        {ok, Form} = erl_parse:parse_form(Tokens),
        Timed = fun Timed({'receive', Where, _, Time, _}) when element(1, Time) =/= integer; element(3, Time) =/= 0 -> [Where];
                    Timed(Form) when is_tuple(Form) -> Timed(tuple_to_list(Form));
                    Timed([Head | Tail]) -> Timed(Head) ++ Timed(Tail);
                    Timed(_) -> []
                end,
        Timed(Form).]], { Text = term.charlist(assert(text:match "\n(run%(.*)$", name)) }, 30000))
      assert.equal("[]", tostring(timed), name)
    end
  end)
end)

describe("Erlang text", function()
  local node
  local started = shared(erlang_node.start)
  setup(function() node = started:connect() end)
  teardown(function() node:close() end)

  it("is evaluated, with variables bound", function()
    assert.equal(42, node:eval("X + 1.", { X = 41 }))
    assert.is_false(node:eval "1 =:= 2.")
    assert.equal("ж", node:eval('unicode:characters_to_binary("ж").'))
    assert.same({ nil, "error" }, { node:eval "error(oops).", (select(3, node:eval "error(oops).")) }, nil)
  end)

  it("is refused with the reason where it is none", function()
    for _, text in ipairs { "1 +.", "'", "\"", "1", "$", "a b." } do
      local value, message, code, reason = node:eval(text)
      assert.is_nil(value, text)
      assert.matches("^not Erlang: ", message)
      assert.equal("syntax", code)
      assert.equal("tuple", term.kind(reason))
    end
    local value, _, code = node:eval "throw({error, {1, erl_parse, []}})."
    assert.same({ nil, "throw" }, { value, code })
  end)

  it("keeps variables where they are wanted", function()
    local value, bound = assert(node:eval_with_variables "X = 1.")
    assert.equal(1, value)
    value, bound = assert(node:eval_with_variables("Y = X + 1.", bound))
    assert.equal(2, value)
    assert.equal(3, (node:eval_with_variables("X + Y.", bound)))
    assert.equal("error", select(3, node:eval_with_variables("X = 2.", bound)))
  end)
end)
