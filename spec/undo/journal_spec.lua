-- The journal: what it says is on the disk before the act, and a later run can read it, however the run ended.

local core = require "edeliver.relup.core"
local journal = require "edeliver.relup.undo.journal"
local json = require "dkjson"
local term = require "edeliver.relup.term"
local process = require "support.process"

local atom, tuple, list = term.atom, term.tuple, term.list

-- All that a journal asks of a node is who it is.
local node = { name = "myapp@web1", call = function() return 7 end }

local function pids(...)
  local made = {}
  for i, id in ipairs { ... } do
    -- NEW_PID_EXT of myapp@web1, creation 7
    made[i] = core.decode(("\131\88\119\10myapp@web1" .. string.pack(">I4I4I4", id, 0, 7)))
  end
  return core.pids(made)
end

local function entry(key, word)
  return { key = key, undo = { "application", "set_env", { atom "kernel", atom(word), 1 } },
    term = tuple { atom "application", atom "set_env", list { atom "kernel", atom(word), 1 } } }
end

describe("journal", function()
  local folder, path

  before_each(function()
    folder = process.temporary_folder()
    path = folder .. "/run.jsonl"
  end)

  after_each(function() process.remove_folder(folder) end)

  local function lines()
    local found = {}
    for line in assert(process.read_file(path)):gmatch "[^\n]+" do found[#found + 1] = assert(json.decode(line)) end
    return found
  end

  it("writes one line of JSON for each event, at once", function()
    local book = assert(journal.open(node, path, { application = "myapp", version = "1.4.6" }))
    assert.equal("run", lines()[1].event)
    assert.equal("myapp@web1", lines()[1].node)
    assert.equal(7, lines()[1].creation)
    assert.equal("1.4.6", lines()[1].version)
    assert.matches("^%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%dZ$", lines()[1].at)
    local observe = book:observer()
    assert(observe("suspend", pids(83, 84)))
    assert.equal("<0.83.0> <0.84.0>", lines()[2].pids)
    assert.equal(2, lines()[2].count)
    assert(observe("apply", { entry("acceptors", "one") }))
    assert.equal("{application,set_env,[kernel,one,1]}", lines()[3].undos[1].call)
    book:write("step", { name = 'with "quotes"\nand lines', status = "done" })
    assert.equal('with "quotes"\nand lines', lines()[4].name)
    book:close { ok = true, still_suspended = 0, still_undone = 0 }
    assert.equal("end", lines()[5].event)
  end)

  it("says what is owed, as it was at every moment", function()
    local book = assert(journal.open(node, path))
    local observe = book:observer()
    local function owed()
      local state = assert(journal.read(path))
      local keys = {}
      for i, undo in ipairs(state.undos) do keys[i] = undo.key end
      return table.concat(state.pids, " ") .. "/" .. table.concat(keys, " "), state
    end
    assert.equal("/", (owed()))
    local one, two = entry("acceptors", "one"), entry("types", "two")
    observe("apply", { one, two })
    assert.equal("/acceptors types", (owed()))
    observe("suspend", pids(1, 2, 3))
    observe("suspend", pids(3, 4))
    assert.equal("<0.1.0> <0.2.0> <0.3.0> <0.4.0>/acceptors types", (owed()))
    observe("owed", pids(2))
    observe("undone", two)
    local text, state = owed()
    assert.equal("<0.2.0>/acceptors", text)
    assert.is_nil(state.ended)
    assert.same({ "application", "set_env" }, { state.undos[1].undo[1], state.undos[1].undo[2] })
    assert.is_true(term.equal(list { atom "kernel", atom "one", 1 }, state.undos[1].undo[3]))
    book:close { ok = true, still_suspended = 0, still_undone = 0 }
    text, state = owed()
    assert.equal("/", text)
    assert.is_true(state.ended.ok)
  end)

  it("keeps what is owed where the end says that something is", function()
    local book = assert(journal.open(node, path))
    book:observer()("suspend", pids(1))
    book:close { ok = false, still_suspended = 1, still_undone = 0 }
    assert.same({ "<0.1.0>" }, assert(journal.read(path)).pids)
  end)

  it("may hold several runs: the last one counts", function()
    local first = assert(journal.open(node, path))
    first:observer()("suspend", pids(1))
    first.file:close()
    local second = assert(journal.open(node, path))
    second:observer()("suspend", pids(2))
    second.file:close()
    assert.same({ "<0.2.0>" }, assert(journal.read(path)).pids)
  end)

  it("is read up to a line that was cut off: what that announced was never done", function()
    local book = assert(journal.open(node, path))
    local observe = book:observer()
    observe("suspend", pids(1))
    observe("apply", { entry("acceptors", "one") })
    book.file:close()
    local text = process.read_file(path)
    local after_first = text:find "\n" + 1
    for cut = after_first, #text - 1 do
      local file = assert(io.open(path, "wb"))
      file:write(text:sub(1, cut))
      file:close()
      local state = assert(journal.read(path))
      assert.is_true(#state.undos == 0)
    end
  end)

  it("goes on after a disk was full for a moment, and is read without the lines that were cut off", function()
    local book = assert(journal.open(node, path))
    local observe = book:observer()
    assert(observe("suspend", pids(1, 2)))
    local file = book.file
    for _, written in ipairs { 30, 0 } do
      book.file = { write = function(_, text)
        file:write(text:sub(1, written))
        return nil, "No space left on device"
      end }
      local told, message, code = observe("owed", pids())
      assert.is_nil(told)
      assert.equal("journal", code)
      assert.matches("cannot be written: No space left on device", message)
    end
    book.file = file
    assert(observe("owed", pids(2)))
    assert.same({ "<0.2.0>" }, assert(journal.read(path)).pids)
    book:close { ok = true, still_suspended = 0, still_undone = 0 }
    assert.is_true(assert(journal.read(path)).ended.ok)
  end)

  it("of a run that comes after one that was cut off in the middle of a line has its own", function()
    local first = assert(journal.open(node, path))
    first.file:write '{"at":"2026'
    first.file:close()
    local second = assert(journal.open(node, path))
    second:observer()("suspend", pids(2))
    second.file:close()
    assert.same({ "<0.2.0>" }, assert(journal.read(path)).pids)
  end)

  it("refuses what is none, with the line", function()
    for text, expected in pairs { [""] = "is no journal", ["hello\n"] = "line 1: no line of a journal",
      ['{"event":"suspend","pids":""}\n'] = "line 1: no line" } do
      local file = assert(io.open(path, "wb"))
      file:write(text)
      file:close()
      local state, message, code = journal.read(path)
      assert.is_nil(state)
      assert.matches(expected, message, 1, true)
      assert.equal("journal", code)
    end
    assert.is_nil((journal.read(folder .. "/missing")))
  end)

  it("refuses an act that it cannot announce", function()
    local book, message, code = journal.open(node, "/dev/full")
    assert.is_nil(book)
    assert.equal("journal", code)
    assert.matches("cannot be written: No space left on device", message)
    book, message = journal.open(node, folder .. "/missing/run.jsonl")
    assert.is_nil(book)
    assert.matches("no journal can be written: .*No such file", message)
  end)

  it("lies in the XDG state folder", function()
    local script = ([[lua5.4 -e 'package.path, package.cpath = %s, %s
      local journal = require "edeliver.relup.undo.journal"
      local book = assert(journal.open({ name = "my/app@web1", call = function() return 7 end }))
      print(journal.folder(), book.path)']]):format(("%q"):format(package.path), ("%q"):format(package.cpath))
    local function printed(env) return (process.output(("env -u XDG_STATE_HOME -u HOME %s %s 2>&1"):format(env, script))) end
    local at, file = printed("XDG_STATE_HOME=" .. folder):match "^(%S+)\t(%S+)"
    assert.equal(folder .. "/edeliver-relup", at)
    assert.matches("/edeliver%-relup/my_app@web1%-%d+T%d+Z%-%x+%.jsonl$", file)
    assert.truthy(process.read_file(file))
    assert.equal("700\n", (process.output("stat -c %a " .. at)))
    at = printed("HOME=" .. folder):match "^(%S+)\t"
    assert.equal(folder .. "/.local/state/edeliver-relup", at)
    assert.matches("neither XDG_STATE_HOME nor HOME", printed "")
  end)
end)
