-- The REPL, with a person at a terminal (tmux), and with lines that are piped in.

local process = require "support.process"
local program = require "cli.program"
local shared = require "support.shared"
local terminal = require "cli.terminal"
local complete = require "edeliver.relup.repl.complete"
local help = require "edeliver.relup.repl.help"
local instruction = require "edeliver.relup.instruction"
local chat = require "support.chat"
local clients = require "support.clients"
local node = require "support.node"
local relup = require "edeliver.relup"

-- What one session printed for each line: a line behind each says where its answer ends.
local function session(on, lines)
  local mark = "-- end of an answer\n"
  local typed = {}
  for i, line in ipairs(lines) do typed[i] = line .. '\nprint "-- end of an answer"\n' end
  local ran = program.run({ on.name, "repl" }, { node = on, input = table.concat(typed) })
  local answers = {}
  local text = ran.out
  local at = 1
  while true do
    local next_at = text:find(mark, at, true)
    if not next_at then break end
    answers[#answers + 1] = (text:sub(at, next_at - 1):gsub("\n$", ""))
    at = next_at + #mark
  end
  return answers, ran
end

describe("edeliver-relup NODE repl", function()
  local release, sockets

  setup(function()
    release = chat.start()
    sockets = clients.open { port = release.ports.endpoint, count = 5 }
  end)

  teardown(function()
    if sockets then sockets:stop() end
    if release then release:stop() end
  end)

  it("prints results as Erlang does, pid sets in short, tables readable", function()
    local answers = session(release, {
      '1 + 1', '"text"', 'atom "a b"', 'tuple { atom "ok", { 1, 2 }, charlist "abc" }',
      'node:call("lists", "seq", { 1, 3 })',
      'node:pids {}', '{ a = 1, b = { "x" } }', 'nil', 'x = 7', 'x', 'local y = 1',
    })
    assert.same({ "2", '<<"text">>', "'a b'", '{ok,[1,2],"abc"}', "[1,2,3]", "0 processes: []", '{ a = 1, b = { <<"x">> } }', "",
      "", "7", "" }, { table.unpack(answers, 1, 11) })
    local pids = session(release, { "node:processes()" })[1]
    assert.matches("^%d+ processes: %[<0%.0%.0>,<0%.1%.0>,<0%.2%.0>,%.%.%.%]$", pids)
  end)

  it("shows no cookie", function()
    local _, ran = session(release, { "node.options", "{ node }", "help(node)", "relup.connect(node.name, node.options)" })
    assert.matches("cookie = (not shown)", session(release, { '{ cookie = "abc" }' })[1], 1, true)
    assert.is_nil(ran.out:find(release.cookie, 1, true))
    assert.is_nil(ran.err:find(release.cookie, 1, true))
  end)

  it("survives every error", function()
    local answers, ran = session(release, {
      'error "bang"', 'error {}', 'nonsense(', ')', 'nope.x', 'node:call("nope", "x")', 'relup.connect "nobody@127.0.0.1"',
      'relup.sequence { "nope" }', "node:call(1)", "node:process_info(3, 4)", "error { 1 }", "1 +", "1", "2 * 21",
    })
    assert.equal(2, ran.code) -- who pipes lines in learns that one of them failed
    assert.matches("error: .*bang", answers[1])
    assert.matches("error: undef in nope:x/0", ran.out, 1, true)
    assert.matches('knows no node "nobody"', ran.out, 1, true)
    assert.matches('there is no instruction "nope"', ran.out, 1, true)
    -- What a function of ours complains of is said without the place in our files.
    assert.matches("error: bad argument to node:process_info (pids expected: a pid set, a list of pids, or a pid)", ran.out, 1,
      true)
    assert.is_nil(ran.out:find("%.lua:%d"), ran.out)
    assert.matches("\nerror: { 1 }\n", ran.out, 1, true)
    assert.equal("42", answers[#answers])
  end)

  it("prints no prompts where lines are piped in, and ends where somebody says exit", function()
    for _, word in ipairs { "exit", "quit", "exit()", "quit();" } do
      local ran = program.run({ release.name, "repl" }, { node = release, input = "6 * 7\n" .. word .. "\n6 * 8\n" })
      assert.equal(0, ran.code, ran.err)
      assert.equal("42\n", ran.out)
      assert.is_nil(ran.out:find(release.name .. ">", 1, true))
    end
  end)

  it("asks whether another name was meant", function()
    local answers = session(release, { "nodee", "nod:processes()", "relpu.term", "zzzzzzzz", "hlep()", 'nodes = nodes' })
    assert.matches("nodee is nil. Did you mean node?", answers[1], 1, true)
    assert.matches("Did you mean node", answers[2], 1, true)
    assert.matches("Did you mean relup?", answers[3], 1, true)
    assert.equal("", answers[4])
    assert.matches("Did you mean help?", answers[5], 1, true)
  end)

  it("cuts a large value, and shows all of it where that is asked", function()
    local answers = session(release, {
      'x = ("a"):rep(5000)', "x", "show(x)",
      "t = {} for i = 1, 40 do t[i] = { { { { { i } } } } } end", "t", "show(t)", "t[1], t[2] = t, t", "show(t)",
    })
    assert.matches("{ { { { ... } } } },\n  ... 10 more: show(x) prints all of x\n}", answers[5], 1, true)
    assert.matches("{ { { { { 40 } } } } }\n}", answers[6], 1, true)
    assert.matches("^{\n  { %.%.%. },\n  { %.%.%. },\n", answers[8])
    assert.matches("^<<\"a+ %.%.%. 1006 bytes more: show%(x%) prints all of x$", answers[2])
    assert.equal(5006, #answers[3])
  end)

  it("says the steps of a sequence", function()
    local answers = session(release, { 's = relup.sequence { "suspend_ranch_acceptors", "suspend_channels", "resume_channels", '
      .. '"resume_ranch_acceptors" }', "print(s)" })
    assert.equal("sequence of 4 steps: suspend_ranch_acceptors, suspend_channels, resume_channels, resume_ranch_acceptors",
      answers[2])
  end)

  it("reads Erlang on that is not whole", function()
    local ran = program.run({ release.name, "repl" }, { node = release, input = table.concat({
      ":lists:map(", "fun(X) -> X * 2", "end, [1, 2])", ':"half', 'a text"', ":lists:nth(", "", "1 + 1",
    }, "\n") .. "\n" })
    assert.matches("[2,4]\n", ran.out, 1, true)
    assert.matches('"half\\na text"', ran.out, 1, true)
    assert.matches("syntax error before:", ran.out, 1, true)
    assert.matches("\n2\n$", ran.out)
  end)

  it("evaluates Erlang behind a colon, with variables that stay", function()
    local answers = session(release, {
      ":X = lists:seq(1, 3).", ":[I * 2 || I <- X]", ": F = fun(A) -> A + 1 end, F(41)", ":F(1)", ":X = 2", ":lists:nth(.",
      ":foo:bar()", ":exit(oops)", ":chat_app:module_info(module)",
    })
    assert.equal("[1,2,3]", answers[1])
    assert.equal("[2,4,6]", answers[2])
    assert.equal("42", answers[3])
    assert.equal("2", answers[4])
    assert.matches("exception error: {badmatch,2}", answers[5], 1, true)
    assert.matches("syntax error before:", answers[6], 1, true)
    assert.matches("exception error: undef", answers[7], 1, true)
    assert.matches("exception exit: oops", answers[8], 1, true)
    assert.equal("chat_app", answers[9])
  end)

  it("shows what is printed on the way", function()
    local answers = session(release, { ':io:format("~p printed~n", [me]), done' })
    assert.equal("me printed\ndone", answers[1])
  end)

  it("keeps several nodes open at once", function()
    local other <close> = node.start { cookie = release.cookie }
    local ran = program.run({ release.name, "repl" }, { node = release, input = table.concat({
      ("connect %q"):format(other.name), "node.name", ("use %q"):format(release.name), 'node:call("erlang", "node")',
      ("nodes[%q]:call('erlang', 'node')"):format(other.name), 'use "x@y"', ":node()",
    }, "\n") .. "\n" })
    assert.matches(("\n<<\"%s\">>\n"):format(other.name), ran.out, 1, true)
    assert.matches(("\n'%s'\n'%s'\n"):format(release.name, other.name), ran.out, 1, true)
    local refused = 'refused: x@y is not open: connect "x@y" opens it (unknown)'
    assert.matches(("%s\n'%s'\n"):format(refused, release.name), ran.out, 1, true)
  end)

  it("lets instructions be run by hand", function()
    local answers = session(release, {
      'instructions.suspend_channels.run(node, "chat")', 'instructions.resume_channels.run(node, "chat")',
    })
    assert.matches("5 websockets suspended", answers[1])
    assert.matches("5 processes resumed", answers[2])
    assert.equal(0, release:suspended())
  end)

  it("completes, remembers, and takes Ctrl-C for no more than it is", function()
    local history = release.folder .. "/state/edeliver-relup/history"
    local screen <close> = terminal.open(program.command({ release.name, "repl" }, { node = release }))
    local prompt = release.name:gsub("%p", "%%%0") .. ">$"
    -- What is typed goes to the prompt that is there; a Ctrl-C to what has begun.
    local function answers(line, pattern)
      screen:type(line, "Enter")
      screen:wait_for(pattern .. "\n" .. prompt)
    end
    local function interrupt(line, interruptions)
      screen:type(("print 'begins %d' %s"):format(interruptions, line), "Enter")
      screen:wait_for(("\nbegins %d$"):format(interruptions))
      screen:type("", "C-c")
      screen:wait_for(("interrupted.*"):rep(interruptions) .. prompt)
    end
    screen:wait_for(prompt)
    screen:complete("node:suspe", "node:suspended$")
    answers("()", "0 processes: %[%]" .. ("\n%d+ process[^\n]*"):rep(2)) -- and those that hibernate
    screen:complete("instructions.suspend_c", "instructions.suspend_channels$")
    answers(".name", '<<"suspend_channels">>')
    screen:complete(":chat_cou", ":chat_counter$")
    screen:complete(":star", ":chat_counter:start_link$")
    screen:type("", "C-c")
    screen:wait_for("suspend_channels\">>\n" .. prompt)
    answers("cookie = 4711; print 'kept'", "\nkept")
    answers('options = { password = "4712" }; print "kept, too"', "\nkept, too")
    interrupt("node:sleep(60000)", 1)
    interrupt("while true do end", 2)
    screen:type("lost = { 1,", "Enter")
    screen:wait_for "\n%.%.%. ?$"
    screen:type("", "C-c")
    screen:wait_for("%.%.%.[^\n]*\n" .. prompt)
    answers("40 + 2", "\n42")
    screen:type("", "Up", "C-a")
    screen:wait_for "> 40 %+ 2$"
    screen:type("", "C-e", "C-u", "C-d")
    assert.equal(0, screen:exit_code())
    local kept = assert(process.read_file(history))
    assert.matches("40 + 2\n", kept, 1, true)
    assert.is_nil(kept:find "471[12]")
    assert.equal("600\n700\n", (process.output(("stat -c %%a %s %s"):format(history, history:match "^(.*)/"))))
  end)
end)

describe("the history of the prompt", function()
  it("is kept nowhere where somebody else could read it or lead us elsewhere, and the prompt says so", function()
    local erlang <close> = node.start {}
    local folder = erlang.folder .. "/state/edeliver-relup"
    local prompt = erlang.name:gsub("%p", "%%%0") .. ">$"
    for command, says in pairs {
      ["mkdir -p %s && chmod 777 %s"] = "No history is kept: others can write in the folder",
      ["mkdir -p %s && : >%s/history && chmod 644 %s/history"] = "No history is kept: others than its owner can use",
      ["mkdir -p %s && ln -s ../../stolen %s/history"] = "history is a symbolic link, which is not followed here",
    } do
      os.execute(("rm -rf %s; umask 077; "):format(folder) .. (command:gsub("%%s", folder)))
      local screen <close> = terminal.open(program.command({ erlang.name, "repl" }, { node = erlang }))
      screen:wait_for(prompt)
      assert.matches(says, (screen:screen():gsub("\n", "")), 1, true)
      screen:type("1 + 1", "Enter")
      screen:wait_for("\n2\n" .. prompt)
      screen:type("", "C-d")
      assert.equal(0, screen:exit_code())
      assert.is_nil(process.read_file(erlang.folder .. "/stolen"))
      assert.falsy((process.read_file(folder .. "/history") or ""):find "1 %+ 1")
    end
  end)
end)

describe("a prompt that is asked to end", function()
  it("ends, and leaves the terminal as it was", function()
    local erlang <close> = node.start {}
    local folder = process.temporary_folder()
    local with_pid = ("exec sh -c 'echo $$ >%s/pid; exec \"$@\"' sh env"):format(folder)
    local command = program.command({ erlang.name, "repl" }, { node = erlang }):gsub("exec env", with_pid, 1)
    local screen <close> = terminal.open(("stty -g > %s/before; ( %s ); code=$?; stty -g > %s/after; ( exit $code )"):format(
      folder, command, folder))
    screen:wait_for(erlang.name:gsub("%p", "%%%0") .. ">$")
    os.execute("kill -TERM " .. process.read_file(folder .. "/pid"))
    local ended = screen:exit_code()
    local before, after = process.read_file(folder .. "/before"), process.read_file(folder .. "/after")
    process.remove_folder(folder)
    assert.equal(0, ended)
    assert.equal(before, after)
  end)
end)

describe("the prompt without readline", function()
  it("reads plain lines, and takes Ctrl-C for no more than it is", function()
    local erlang <close> = node.start {}
    local command = program.command({ erlang.name, "repl" }, { node = erlang })
    local without = "lua5.4 -e 'package.preload.readline = function() error(\"not installed\") end' bin/"
    local screen <close> = terminal.open((command:gsub("lua5%.4 bin/", without)))
    local prompt = erlang.name:gsub("%p", "%%%0") .. ">$"
    screen:wait_for(prompt)
    screen:type("21 * 2", "Enter")
    screen:wait_for("\n42\n" .. prompt)
    screen:type "half a li"
    screen:wait_for "half a li$"
    screen:type("", "C-c")
    screen:wait_for("half a li[^\n]*\n[^\n]*" .. prompt)
    screen:type("print 'begins' node:sleep(60000)", "Enter")
    screen:wait_for "\nbegins$"
    screen:type("", "C-c")
    screen:wait_for("interrupted\n" .. prompt)
    screen:type("6 * 6", "Enter")
    screen:wait_for("\n36\n" .. prompt)
    screen:type("", "C-d")
    assert.equal(0, screen:exit_code())
  end)
end)

describe("lua -i -l edeliver.relup", function()
  local erlang = shared(node.start)

  local function lua(words, input)
    local line = ("cd %s && printf '%%s' %s | LUA_PATH=%s LUA_CPATH=%s %s 2>&1"):format(process.quote(process.root),
      process.quote(input), process.quote(package.path), process.quote(package.cpath), erlang:operator_command(words))
    return process.output(line)
  end

  it("is the same prompt, without a node at first", function()
    local printed = lua({ "lua5.4", "-i", "-l", "edeliver.relup" }, table.concat({
      ":node()", ('node = relup.connect %q'):format(erlang.name), 'node:call("erlang", "node")', ":node()",
      ":io:format(\"printed~n\")", "node:processes()", "error 'bang'", "2 * 21",
    }, "\n") .. "\n")
    assert.matches("\nno node is open: connect", printed, 1, true)
    local name = erlang.name:gsub("%p", "%%%0")
    assert.matches(("'%s'\n'%s'"):format(name, name), printed)
    assert.matches("\n%d+ processes: %[<0%.0%.0>", printed)
    assert.matches("\n42\n", printed)
  end)

  it("leaves scripts alone, also those with arguments like these", function()
    local script = erlang.folder .. "/script.lua"
    local file = assert(io.open(script, "w"))
    file:write 'require "edeliver.relup"; print("done", ...)'
    file:close()
    assert.equal("done\t-i\tx\n", lua({ "lua5.4", script, "-i", "x" }, "1 + 1\n"))
  end)
end)

describe("completion", function()
  local connection, completer
  local erlang = shared(node.start)
  setup(function()
    connection = erlang:connect()
    local environment = { node = connection, relup = relup, nodes = {} }
    completer = complete.new(environment, function() return connection end)
  end)

  teardown(function() connection:close() end)

  for before, expected in pairs {
    ["relup.seq"] = "relup.sequence",
    ["node:bulk_s"] = "node:bulk_suspend",
    ["x = node:bulk_s"] = "node:bulk_suspend",
    ["whi"] = "while",
    ['relup.sequence { "suspend_ch'] = "suspend_channels",
    ["node:call('erl_sc"] = "erl_scan",
    ['node:call("lists", "keyf'] = "keyfind",
    [":lists:keyf"] = "lists:keyfind",
    [":X = erl_sc"] = "erl_scan",
  } do
    it(("finds %s behind %s"):format(expected, before), function()
      -- The line editor takes for a word what follows the last of its break characters.
      local from = #before - #before:match "[^ \t\n\"\\'`@$><=;|&{(]*$" + 1
      local found = completer:matches(before, from)
      local word = expected
      if before:sub(1, 1) == ":" and from == 1 then word = ":" .. expected end
      assert.same({ word }, found)
    end)
  end

  describe("of names that a node has chosen", function()
    local term = relup.term
    local atom, tuple = term.atom, term.tuple

    -- What is offered where these are the modules of a node, and the functions of each.
    local function matches(rows, before)
      local liar = { name = "liar@host", call = function() return rows end }
      local from = #before - #before:match "[^ \t\n\"\\'`@$><=;|&{(]*$" + 1
      return complete.new({ node = liar }, function() return liar end):matches(before, from)
    end

    local function found(names, before)
      local rows = {}
      for i, name in ipairs(names) do rows[i] = tuple { atom(name), 1 } end
      return matches(term.list(rows), before)
    end

    it("puts none into a string that could end it, or be something else than itself there", function()
      local bad = { 'evil") os.execute("touch x', "evil'", "evil\\n", "evil x", "evil\n", "evil\0", "evil\u{e9}", "evil]]" }
      for _, before in ipairs { 'node:call("ev', "node:call('ev", 'node:call("m", "ev', 'node:call("' } do
        assert.same({}, found(bad, before))
      end
      assert.same({ "Elixir.A.B" }, found({ "Elixir.A.B" }, 'node:call("Eli'))
      assert.same({ "valid?" }, found({ "save!", "valid?" }, 'node:call("m", "va'))
      assert.same({ "save!" }, found({ "save!", "valid?" }, 'node:call("m", "sa'))
    end)

    it("offers none that a terminal would not show as it is", function()
      local bad = { "evil\27[31m", "evil\u{202e}", "evil\u{2066}", "evil\u{9b}", "evil\u{200f}", "evil\n", "evil\t" }
      for _, before in ipairs { ":ev", ":'ev", ":m:ev", 'node:call("ev' } do assert.same({}, found(bad, before)) end
      assert.same({ "evil x'" }, found({ "evil x" }, ":'ev"))
    end)

    it("offers none where the node says something else", function()
      local rows_of_none = term.list { 1, tuple {}, tuple { "x" }, tuple { true }, { tuple {} } }
      local nothing = { 7, "text", atom "none", tuple { 1 }, term.charlist "abc", rows_of_none }
      for _, rows in ipairs(nothing) do
        for _, before in ipairs { ":", ":m:", 'node:call("' } do assert.same({}, matches(rows, before)) end
      end
    end)
  end)

  it("offers nothing where the node is gone, and takes no time over it", function()
    local gone <close> = node.start {}
    local lost = gone:connect()
    gone:stop()
    local empty = complete.new({}, function() return lost end)
    assert.same({}, empty:matches(":lis", 2))
    lost:close()
  end)
end)

describe("help", function()
  it("has words for every public function of the facade, of nodes, of terms", function()
    for _, name in ipairs { "edeliver.relup", "edeliver.relup.node", "edeliver.relup.term", "edeliver.relup.sequence" } do
      for key, value in pairs(require(name)) do
        if type(value) == "function" and not key:find "^__" and key ~= "tell" and name ~= "edeliver.relup.sequence" then
          assert.is_nil(help.text(value):find("nothing is written", 1, true), name .. "." .. key)
        end
      end
    end
  end)

  it("has words for every instruction and every module", function()
    for _, name in ipairs(instruction.names) do
      local text = help.text(name)
      assert.equal("edeliver.relup.instructions." .. name, text:match "^[^\n]*")
      assert.is_true(#text > #name + 60, text)
    end
    for _, name in ipairs { "sequence", "sequence.ordering", "undo.ledger", "file", "node", "repl" } do
      assert.matches("^edeliver.relup." .. name .. "\n%u", help.text(name))
    end
  end)

  it("tells the arguments and what is given back", function()
    local text = help.text(require("edeliver.relup.node").bulk_suspend)
    assert.matches("timeout (number, optional): ms", text, 1, true)
    assert.matches("gives string \"ok\"", text, 1, true)
  end)

  it("says so where there is nothing", function()
    assert.matches("nothing is written about that", help.text "no such thing", 1, true)
    assert.matches("an Erlang atom", help.text(relup.term.atom "ok"), 1, true)
    assert.matches(":expression", help.text(nil), 1, true)
  end)
end)

describe("help", function()
  -- Public functions as the documentation names them; their first words as the source has them above.
  it("has words for every public thing", function()
    local silent = {}
    local function look(name, value)
      local text = help.text(value)
      if text:find("nothing is written about that", 1, true) then silent[#silent + 1] = name end
    end
    for _, module in ipairs { "edeliver.relup", "edeliver.relup.term", "edeliver.relup.consult", "edeliver.relup.lint",
      "edeliver.relup.recover", "edeliver.relup.plan", "edeliver.relup.file" } do
      look(module, module)
      for name, value in pairs(require(module)) do
        if type(value) == "function" and not name:find "^_" then look(module .. "." .. name, value) end
      end
    end
    for _, name in ipairs(instruction.names) do look(name, name) end
    for name, value in pairs(getmetatable(require("edeliver.relup.node")) or require "edeliver.relup.node") do
      if type(value) == "function" and not name:find "^_" then look("node." .. name, value) end
    end
    assert.same({}, silent)
  end)

  -- The first line of LDoc above each function of a module's text, by the function's name.
  local function documented(text)
    local found, first = {}, nil
    for line in text:gmatch "[^\n]*" do
      if line:find "^%-%-%-" then
        first = line:match "^%-%-%- (.*)$"
      elseif not line:find "^%-%-" then
        local key = line:match "^function [%w_]+[.:]([%w_]+)%(" or line:match "^[%w_]+%.([%w_]+) = "
        if first and key then found[key] = first end
        first = nil
      end
    end
    return found
  end

  -- Every function that has words of LDoc right above where its module defines it: help says these words, and no others.
  it("has the right words", function()
    local wrong, seen = {}, 0
    local files = process.output(("cd %s/lua && find edeliver -name '*.lua'"):format(process.root))
    for path in files:gmatch "[^\n]+" do
      local text = process.read_file(process.root .. "/lua/" .. path)
      local name = text:match "\n%-%- @%a*module ([%w_.]+)\n"
      local loaded, module = pcall(require, name or "none")
      if loaded and type(module) == "table" then
        for key, words in pairs(documented(text)) do
          local value = rawget(module, key)
          local source = type(value) == "function" and debug.getinfo(value, "S").source
          if source and source:sub(-#path) == path then
            seen = seen + 1
            if not help.text(value):find(words, 1, true) then wrong[#wrong + 1] = name .. "." .. key end
          end
        end
      end
    end
    assert.is_true(seen > 200, tostring(seen))
    assert.same({}, wrong)
  end)
end)
