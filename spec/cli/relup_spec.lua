-- show, patch, lint and diff, on a relup that systools made.

local process = require "support.process"
local program = require "cli.program"
local chat = require "support.chat"

describe("edeliver-relup on relup files", function()
  local folder, relup

  setup(function()
    folder = process.temporary_folder()
    relup = folder .. "/relup"
    assert.is_true(os.execute(("tar -xzOf %s/chat-2.0.0.tar.gz releases/2.0.0/relup > %s/original"):format(
      process.quote(chat.built()), process.quote(folder))))
  end)

  before_each(function() os.execute(("rm -f %s/relup*; cp %s/original %s"):format(folder, folder, relup)) end)
  teardown(function() process.remove_folder(folder) end)

  it("show: each way, one instruction a line", function()
    local shown = program.run { "show", relup }
    assert.equal(0, shown.code, shown.err)
    assert.matches("^2%.0%.0, up from 1%.0%.0\n   1  {load_object_code,{chat,", shown.out)
    assert.matches("\n   2  point_of_no_return\n", shown.out, 1, true)
    assert.matches("\n\n2.0.0, down to 1.0.0\n", shown.out, 1, true)
    local document = program.json("show " .. relup).json.result
    assert.equal("2.0.0", document.version)
    assert.equal("point_of_no_return", document.entries[1].instructions[2])
  end)

  it("show: says where a file is wrong", function()
    local file = assert(io.open(relup, "w"))
    file:write '{"2.0.0",\n [},[]}.\n'
    file:close()
    local refused = program.run { "show", relup }
    assert.equal(2, refused.code)
    assert.matches("relup: line 2, column 3: ", refused.err, 1, true)
    assert.matches("a relup is one tuple", program.run({ "show", process.root .. "/spec/golden/edeliver.terms" }).err, 1, true)
  end)

  it("patch: changes every entry, keeps the old file, and diff shows what it did", function()
    local patched = program.run { "patch", relup, "--app", "chat" }
    assert.equal(0, patched.code, patched.err)
    assert.equal(relup .. ": 2 entries changed; the old file is " .. relup .. ".bak.\n", patched.out)
    assert.equal(process.read_file(folder .. "/original"), process.read_file(relup .. ".bak"))
    local difference = program.run { "diff", relup .. ".bak", relup }
    assert.equal(1, difference.code)
    for _, name in ipairs { "suspend_channels", "resume_channels", "suspend_ranch_acceptors", "resume_ranch_acceptors" } do
      local line = ("[{'Request',{run,%s,[chat]}}]]}}\n"):format(name)
      assert.equal(2, select(2, difference.out:gsub(line:gsub("%p", "%%%0"), "")))
    end
    assert.matches("- {load,{chat_http,brutal_purge,brutal_purge}}\n", difference.out, 1, true)
    assert.equal("No differences.\n", program.run({ "diff", relup, relup }).out)
    assert.equal(0, program.run({ "lint", relup }).code)
  end)

  it("patch: what Erlang reads is what was meant", function()
    assert.equal(0, program.run({ "patch", relup, "--app", "chat", "--runtime", "edeliver" }).code)
    local read = process.output(("erl -noshell -boot start_clean -eval '"
      .. "{ok, [{V, [{U, _, Up}], [_]}]} = file:consult(%q), "
      .. "io:format(\"~ts ~ts ~b\", [V, U, length([I || {apply, {M, run, [_]}} = I <- Up, "
      .. "lists:prefix(\"Elixir.Edeliver.Relup.Instructions.\", atom_to_list(M))])]), halt().'"):format(relup))
    local version, from, count = read:match "^(%S+) (%S+) (%d+)$"
    assert.same({ "2.0.0", "1.0.0" }, { version, from })
    assert.is_true(tonumber(count) >= 10, read)
  end)

  it("patch: never twice", function()
    assert.equal(0, program.run({ "patch", relup, "--app", "chat" }).code)
    local text = process.read_file(relup)
    local again = program.run { "patch", relup, "--app", "chat" }
    assert.equal(1, again.code)
    assert.matches("is patched already", again.err, 1, true)
    assert.equal(text, process.read_file(relup))
  end)

  it("patch --print leaves the file alone", function()
    local printed = program.run { "patch", relup, "--app", "chat", "--modification", "default", "--print" }
    assert.equal(0, printed.code)
    assert.matches("{load,{chat_http,soft_purge,brutal_purge}}", printed.out, 1, true)
    assert.is_nil(printed.out:find("edeliver_relup", 1, true))
    assert.equal(process.read_file(folder .. "/original"), process.read_file(relup))
  end)

  it("patch --print shows the comments that patch keeps", function()
    local file = assert(io.open(relup, "w"))
    file:write("%% coding: utf-8\n%% made by the build\n", process.read_file(folder .. "/original"))
    file:close()
    local printed = program.run { "patch", relup, "--app", "chat", "--print" }
    assert.equal(0, printed.code, printed.err)
    assert.equal(0, program.run({ "patch", relup, "--app", "chat" }).code)
    assert.equal(process.read_file(relup), printed.out)
    assert.matches("^%%%% coding: utf%-8\n%%%% made by the build\n{", printed.out)
  end)

  local function write(text)
    local file <close> = assert(io.open(relup, "w"))
    file:write(text)
    return text
  end

  it("patch leaves alone what restarts the emulator, and says why", function()
    local RESTARTS = '{"1",[],[restart_new_emulator,{load_object_code,{a,"2",[m]}},point_of_no_return,'
      .. "{load,{m,soft_purge,soft_purge}}]}"
    write(('{"2",[%s],[{"1",[],[point_of_no_return]}]}.\n'):format(RESTARTS))
    local patched = program.run { "patch", relup, "--app", "chat" }
    assert.equal(0, patched.code, patched.err)
    assert.matches("up from 1 is left alone: restart_new_emulator ends every connection", patched.err, 1, true)
    assert.matches("relup: 1 entry changed;", patched.out, 1, true)
    assert.equal(0, program.run({ "lint", relup }).code)
    local text = write(('{"2",[%s],[{"1",[],[point_of_no_return,restart_emulator]}]}.\n'):format(RESTARTS))
    local refused = program.json("patch " .. relup .. " --app chat")
    assert.equal(1, refused.code)
    assert.equal("restart", refused.json.error.code)
    assert.equal(text, process.read_file(relup))
  end)

  it("patch refuses a relup that leads nowhere", function()
    write '{"2",[],[]}.\n'
    local refused = program.run { "patch", relup, "--app", "chat" }
    assert.equal(1, refused.code)
    assert.matches("has no way up and no way down", refused.err, 1, true)
  end)

  it("patch --script takes a modification of one's own", function()
    local script = folder .. "/mine.lua"
    local file = assert(io.open(script, "w"))
    file:write [[
      local info = require "edeliver.relup.instructions.info"
      return { modify_relup = function(instructions, config) return info.modify_relup(instructions, config, "up", "down") end }
    ]]
    file:close()
    local printed = program.run { "patch", relup, "--app", "chat", "--script", script, "--print" }
    assert.equal(0, printed.code, printed.err)
    assert.equal(2, select(2, printed.out:gsub("{run,info,", "")))
    assert.equal(64, program.run({ "patch", relup, "--app", "chat", "--script", folder .. "/none.lua" }).code)
  end)

  it("lint: 0 where only warnings are, 1 where an upgrade would fail", function()
    local fine = program.json("lint " .. relup)
    assert.equal(0, fine.code)
    assert.is_true(#fine.json.result.findings > 0)
    assert.equal(1, program.run({ "lint", relup, "--strict" }).code)
    local text = process.read_file(relup):gsub("point_of_no_return", "point_of_some_return", 1)
    local file = assert(io.open(relup, "w"))
    file:write(text)
    file:close()
    local wrong = program.json("lint " .. relup)
    assert.equal(1, wrong.code)
    assert.is_true(wrong.json.result.errors > 0)
    assert.matches("point_of_some_return", program.run({ "lint", relup }).out)
  end)

  it("lint: takes an appup, and says that systools reads but its first term", function()
    local appup = folder .. "/myapp.appup"
    local file = assert(io.open(appup, "w"))
    file:write '{"2",[{<<"1.*">>,[{load_module,m}]}],[]}. {"1",[],[]}.'
    file:close()
    local checked = program.run { "lint", appup }
    assert.equal(0, checked.code, checked.err)
    assert.equal("Found nothing wrong with " .. appup .. ".\n", checked.out)
    assert.matches("holds 2 terms; systools reads the first", checked.err, 1, true)
    os.execute(("cp %s %s"):format(appup, relup))
    assert.equal(1, program.run({ "lint", relup }).code)
  end)

  it("lint: compares the code of both releases", function()
    os.execute(("mkdir -p %s/new && tar -xzf %s/chat-2.0.0.tar.gz -C %s/new"):format(folder, chat.built(), folder))
    local checked = program.json(("lint %s --old %s/root/lib/chat-1.0.0/ebin --new %s/new/lib/chat-2.0.0/ebin"):format(
      relup, chat.built(), folder))
    assert.equal(0, checked.json.result.errors, checked.out)
  end)
end)
