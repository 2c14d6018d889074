-- What a module's file says of it, of modules that are compiled here: what functions mention, and what cannot be told.

local module = require "edeliver.relup.release.module"
local process = require "support.process"

local SOURCE = [[
-module(m_tree).
-behaviour(supervisor).
-export([init/1, other/0, loop/1]).
init(Names) ->
  Workers = [worker(Name) || Name <- Names],
  {ok, {#{strategy => one_for_one}, Workers ++ fixed() ++ m_helper:more(1)}}.
worker(Name) -> F = fun(Id) -> #{id => Id, start => {m_worker, start_link, [Name]}} end, F(Name).
fixed() -> [#{id => m_fixed, start => {m_fixed, start_link, []}}].
other() -> m_other.
loop(0) -> m_end;
loop(N) -> loop(N - 1).
]]

describe("a module's file", function()
  local folder, tree

  setup(function()
    folder = process.temporary_folder()
    local file <close> = assert(io.open(folder .. "/m_tree.erl", "w"))
    file:write(SOURCE)
    file:close()
    local text, good = process.output(("erlc -o %s %s/m_tree.erl 2>&1"):format(folder, folder))
    assert.is_true(good, text)
    tree = assert(module.open(process.read_file(folder .. "/m_tree.beam")))
  end)
  teardown(function() process.remove_folder(folder) end)

  it("says what a function mentions, by the functions and funs of its own that it calls, too", function()
    local found = assert(tree:mentions("init", 1))
    for _, name in ipairs { "m_worker", "m_fixed", "one_for_one" } do assert.is_true(found.atoms[name], name) end
    assert.is_nil(found.atoms.m_other)
    assert.is_true(found.calls["m_helper:more/1"])
    assert.is_true(assert(tree:mentions("loop", 1)).atoms.m_end)
    assert.is_nil(tree:mentions("none", 0))
  end)

  it("has a label for each function", function()
    local names = {}
    for _, name in pairs(assert(tree.file:functions())) do names[name] = true end
    for _, name in ipairs { "init/1", "worker/1", "fixed/0", "other/0", "loop/1", "module_info/0" } do
      assert.is_true(names[name], name)
    end
  end)
end)
