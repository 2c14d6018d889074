-- The journal: what it says is on the disk before the act, and a later run can read it, however the run ended.

local core = require "edeliver.relup.core"
local journal = require "edeliver.relup.undo.journal"
local json = require "dkjson"
local term = require "edeliver.relup.term"
local process = require "support.process"

local quote = process.quote
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

  it("is written on after a line that a signal has cut off", function()
    local book = assert(journal.open(node, path, { application = "myapp", version = "1.4.6" }))
    local cut = setmetatable({}, { __tojson = function() error "interrupted by SIGTERM" end })
    assert.has_error(function() book:write("step", { name = cut }) end)
    assert.is_true(book:write("step", { name = "put_relup_back", status = "begun" }))
    assert.equal("put_relup_back", lines()[2].name)
    book:close { ok = false, still_suspended = 0, still_undone = 0 }
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

  it("belongs to one run: a file that is there already stays as it is", function()
    local first = assert(journal.open(node, path))
    first:observer()("suspend", pids(1))
    local text = process.read_file(path)
    local second, message, code = journal.open(node, path)
    assert.same({ nil, "journal" }, { second, code })
    assert.matches("exists already, and a journal belongs to one run: name a new file", message, 1, true)
    assert.equal(text, process.read_file(path))
    first:close { still_suspended = 1, still_undone = 0 }
    assert.same({ "<0.1.0>" }, assert(journal.read(path)).pids)
  end)

  it("with another run in it is refused", function()
    assert(journal.open(node, path)):close { still_suspended = 0, still_undone = 0 }
    local text = process.read_file(path)
    local out = assert(io.open(path, "ab"))
    out:write(text)
    out:close()
    assert.matches("line 3: another run begins", (select(2, journal.read(path))), 1, true)
  end)

  it("is nobody else's, whatever the umask, and its folder neither", function()
    local script = ([[package.path, package.cpath = %q, %q
      local journal = require "edeliver.relup.undo.journal"
      local node = { name = "a@b", call = function() return 7 end }
      print(assert(journal.open(node)).path, assert(journal.open(node, %q)).path)]]):format(package.path, package.cpath, path)
    local printed = process.output(("umask 0; XDG_STATE_HOME=%s/state lua5.4 -e %s"):format(quote(folder), quote(script)))
    local default, named = printed:match "^(%S+)\t(%S+)"
    assert.equal("600\n600\n700\n", (process.output(("stat -c %%a %s %s %s"):format(quote(default), quote(named),
      quote(default:match "^(.*)/")))))
  end)

  it("is not written where somebody else could have it, or lead us elsewhere", function()
    local script = ([[package.path, package.cpath = %q, %q
      print(require("edeliver.relup.undo.journal").open({ name = "a@b", call = function() return 7 end }))]]):format(
      package.path, package.cpath)
    local command = ("HOME=%s XDG_STATE_HOME= lua5.4 -e %s"):format(quote(folder), quote(script))
    local function printed() return (process.output(command)) end
    os.execute(("mkdir -p %s/.local/state && mkdir -m 777 %s/.local/state/edeliver-relup"):format(quote(folder), quote(folder)))
    assert.matches("no journal can be written: others can write in the folder", printed(), 1, true)
    if process.output "id -u" ~= "0\n" then return end
    os.execute(("cd %s/.local/state && chmod 700 edeliver-relup && chown 12345 edeliver-relup"):format(quote(folder)))
    assert.matches("belongs to another user (12345)", printed(), 1, true)
    os.execute(("cd %s/.local && rm -r state && mkdir ../other && ln -s ../other state && chown -h 12345 state"):format(
      quote(folder)))
    assert.matches("state is a symbolic link of another user (12345), which is not followed", printed(), 1, true)
    assert.equal("", (process.output(("ls %s/other"):format(quote(folder)))))
    -- Nor through a link that lies there already.
    os.execute(("ln -s %s/target %s"):format(quote(folder), quote(path)))
    assert.is_nil((journal.open(node, path)))
    assert.is_nil(process.read_file(folder .. "/target"))
  end)

  it("is read only where nobody else can have written it", function()
    assert(journal.open(node, path)):close { still_suspended = 0, still_undone = 0 }
    for _, mode in ipairs { "620", "602", "666" } do
      os.execute(("chmod %s %s"):format(mode, quote(path)))
      local state, message, code = journal.read(path)
      assert.same({ nil, "not_private" }, { state, code })
      assert.matches("others can write the journal", message, 1, true)
    end
    os.execute("chmod 644 " .. quote(path))
    assert(journal.read(path))
    if process.output "id -u" ~= "0\n" then return end
    os.execute(("chmod 600 %s && chown 12345 %s"):format(quote(path), quote(path)))
    local state, message, code = journal.read(path)
    assert.same({ nil, "not_private" }, { state, code })
    assert.matches("belongs to another user", message, 1, true)
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

  it("that was cut off in the middle of a line is closed all the same", function()
    local book = assert(journal.open(node, path))
    book:observer()("suspend", pids(2))
    book.file:write '{"at":"2026'
    book.file:close()
    assert(journal.settle(path, { ok = false, still_suspended = 1, still_undone = 0 }))
    assert.same({ "<0.2.0>" }, assert(journal.read(path)).pids)
    assert(journal.settle(path, { ok = true, still_suspended = 0, still_undone = 0 }))
    local state = assert(journal.read(path))
    assert.same({ {}, "recover" }, { state.pids, state.ended.by })
  end)

  it("refuses what is none, with the line", function()
    local RUN = '{"event":"run","node":"a@b","creation":7}\n'
    local function undo(etf) return RUN .. ('{"event":"apply","undos":[{"key":"k","id":1,"etf":%s}]}\n'):format(etf) end
    local function of(value)
      return undo('"' .. core.encode(value):gsub(".", function(byte) return ("%02x"):format(byte:byte()) end) .. '"')
    end
    for text, expected in pairs {
      [""] = "is no journal", ["hello\n"] = "line 1: no line of a journal",
      ['{"event":"suspend","pids":""}\n'] = "line 1: no line",
      ['{"event":"run"}\n'] = "line 1: its node is no string",
      ['{"event":"run","node":"a@b","creation":"7"}\n'] = "line 1: its creation is no integer",
      [RUN .. '{"event":"suspend"}\n'] = "line 2: its pids is no string",
      [RUN .. '{"event":"suspend","pids":"<0.1.0> halt()"}\n'] = "line 2: it names a process that is no pid",
      [RUN .. '{"event":"apply","undos":7}\n'] = "line 2: its undos is no table",
      [RUN .. '{"event":"apply","undos":["x"]}\n'] = "line 2: its undo is no table",
      [undo "7"] = "line 2: its etf is no string",
      [undo '"83"'] = "line 2: it has an undo that is no call",
      [of(tuple { atom "lists", atom "reverse", atom "none" })] = "line 2: it has an undo that is no call",
      [of(tuple { atom "lists", atom "reverse" })] = "line 2: it has an undo that is no call",
      [of(tuple { "lists", atom "reverse", list {} })] = "line 2: it has an undo that is no call",
      [of(tuple { atom "lists", atom "reverse", list({ 1 }, 2) })] = "line 2: it has an undo that is no call",
      [("["):rep(3000000) .. "\n"] = "line 1: it is nested too deeply",
      [RUN .. ('{"a":'):rep(1000000) .. "\n"] = "line 2: it is nested too deeply",
    } do
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

  it("refuses a folder, a pipe and a device, and waits for none of them", function()
    os.execute(("mkfifo %s/pipe"):format(quote(folder)))
    for _, name in ipairs { folder, folder .. "/pipe", "/dev/zero" } do
      local state, message, code = journal.read(name)
      assert.same({ nil, "journal" }, { state, code })
      assert.matches("is not a plain file", message, 1, true)
    end
  end)

  it("refuses an act that it cannot announce", function()
    local book, message = journal.open(node, folder .. "/missing/run.jsonl")
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
