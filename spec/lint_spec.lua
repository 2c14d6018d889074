local lint = require "edeliver.relup.lint"
local beam = require "edeliver.relup.lint.beam"
local consult = require "edeliver.relup.consult"
local phoenix_modification = require "edeliver.relup.phoenix_modification"
local modification = require "edeliver.relup.modification"

local here = debug.getinfo(1, "S").source:match "^@(.*)lint_spec.lua$"

local function parse(text) return assert(consult.parse(text))[1] end

-- A relup whose up script is given, and whose down script is sound.
local function relup(up) return parse(('{"2",[{"1",[],%s}],[{"1",[],[{apply,{erlang,garbage_collect,[]}}]}]}.'):format(up)) end

local function find(findings, kind)
  local found = {}
  for _, finding in ipairs(findings) do
    if finding.kind == kind then found[#found + 1] = finding end
  end
  return found
end

-- The one finding of a script, which must be of that kind.
local function only(up, kind, options)
  local findings = assert(lint(relup(up), options))
  local texts = {}
  for i, finding in ipairs(findings) do texts[i] = tostring(finding) end
  assert.are.equal(1, #findings, table.concat(texts, "\n"))
  assert.are.equal(kind, findings[1].kind)
  return findings[1]
end

local function silent(up, options) assert.are.same({}, lint(relup(up), options)) end

describe("lint", function()
  it("finds nothing in a sound relup", function()
    silent "[{load_object_code,{a,\"2\",[m]}},point_of_no_return,{load,{m,soft_purge,soft_purge}}]"
  end)

  it("says where", function()
    local finding = only("[point_of_no_return,{frobnicate,m}]", "unknown_instruction")
    assert.are.equal("up", finding.direction)
    assert.are.equal("1", finding.version)
    assert.are.equal(2, finding.position)
    assert.are.equal("error: up from 1, instruction 2: {frobnicate,m}: neither appup(5) nor the release handler knows this "
      .. "instruction", tostring(finding))
  end)

  it("wants a relup", function()
    for _, text in ipairs { "a.", "{a,[],[]}.", '{"1",[],x}.', '{"1",[]}.', '{<<"1">>,[],[]}.' } do
      assert.are.equal("bad_shape", lint(parse(text))[1].kind)
    end
    assert.are.equal("bad_shape", lint.relup(parse '{"1",[{"0",[]}],[]}.')[1].kind)
  end)

  local BAD = {
    ["{load_object_code,{a,\"1\",m}}"] = "element 2 should be a list of modules, not {a,\"1\",m}",
    ["{load,m}"] = "element 2 should be {Module, PrePurge, PostPurge}",
    ["{load,{m,soft_purge,hard_purge}}"] = "element 2 should be soft_purge or brutal_purge",
    ["{load,{m,soft_purge,soft_purge},x}"] = "it has 3 elements, not 2",
    ["{purge,m}"] = "a list of modules",
    ["{suspend,[{m,0}]}"] = "a list of modules, or {Module, Timeout}",
    ["{code_change,sideways,[{m,[]}]}"] = "element 2 should be up or down",
    ["{code_change,[m]}"] = "a list of {Module, Extra}",
    ["{apply,{m,f,x}}"] = "a list of arguments",
    ["{sync_nodes,id,\"x\"}"] = "a list of nodes",
    ["{point_of_no_return}"] = "it is an atom alone",
    ["load"] = "it is a tuple",
    ["{update,m,sideways}"] = "element 3 should be a list of modules",
    ["{update,m,soft,soft_purge,x,[]}"] = "element 5 should be soft_purge or brutal_purge",
    ["{update,m,-1,soft,soft_purge,soft_purge,[]}"] = "element 3 should be a timeout",
    ["{add_application,a,sometimes}"] = "element 3 should be permanent",
  }
  for text, reason in pairs(BAD) do
    it("knows that " .. text .. " has the wrong shape", function()
      local found = find(lint(relup("[point_of_no_return," .. text .. "]")), "bad_shape")
      assert.are.equal(1, #found)
      assert.matches(reason, found[1].reason, 1, true)
    end)
  end

  local HIGH = {
    "{update,m}", "{update,m,supervisor}", "{update,m,soft}", "{update,m,{advanced,x}}", "{update,m,[n]}",
    "{update,m,soft,[n]}", "{update,m,soft,soft_purge,brutal_purge,[]}",
    "{update,m,default,soft,soft_purge,brutal_purge,[]}", "{update,m,infinity,soft,soft_purge,brutal_purge,[]}",
    "{update,m,static,5000,{advanced,[]},soft_purge,brutal_purge,[n]}", "{load_module,m}", "{load_module,m,[n]}",
    "{load_module,m,soft_purge,soft_purge,[n]}", "{add_module,m}", "{add_module,m,[n]}", "{delete_module,m}",
    "{delete_module,m,[n]}", "{add_application,a}", "{add_application,a,load}", "{remove_application,a}",
    "{restart_application,a}",
  }
  it("knows every form of appup(5), and that the release handler does not", function()
    for _, text in ipairs(HIGH) do
      local found = lint(relup("[point_of_no_return," .. text .. "]"))
      assert.are.equal("high_level", found[1].kind, text .. tostring(found[1]))
      assert.are.equal(0, #find(found, "bad_shape"))
    end
  end)

  it("counts points of no return", function()
    only('[{load_object_code,{a,"2",[m]}},{load,{m,soft_purge,soft_purge}}]', "no_point_of_no_return")
    silent "[{suspend,[m]},{resume,[m]}]"
    local several = only("[point_of_no_return,{apply,{m,f,[]}},point_of_no_return]", "several_points_of_no_return")
    assert.are.equal(3, several.position)
    assert.are.equal("warning", several.level)
  end)

  local GUARD = "{apply,{gen_server,call,[edeliver_relup,{run,%s,[x]},infinity]}}"
  local INSIDE = "{apply,{'Elixir.Edeliver.Relup.Instructions.%s',run,[x]}}"
  for runtime, call in pairs {
    guard = function(name) return GUARD:format(name) end,
    edeliver = function(name)
      return INSIDE:format((name:gsub("%f[%w]%l", string.upper):gsub("_%l", string.upper):gsub("_", "")))
    end,
  } do
    local check_acceptors, suspend, resume = call "check_ranch_acceptors", call "suspend_channels", call "resume_channels"
    local resume_acceptors = call "resume_ranch_acceptors"
    local LOAD = '{load_object_code,{a,"2",[m]}},point_of_no_return,%s{load,{m,soft_purge,soft_purge}}%s'

    it("wants checks before the point of no return: " .. runtime, function()
      local found = only("[point_of_no_return," .. check_acceptors .. "]", "late_check")
      assert.matches("check_ranch_acceptors is behind the point of no return", found.reason, 1, true)
      silent("[" .. check_acceptors .. ",point_of_no_return]")
      only("[" .. check_acceptors .. "]", "late_check")
    end)

    it("holds instructions to their order: " .. runtime, function()
      local found = only("[point_of_no_return," .. resume_acceptors .. "," .. resume .. "]", "order")
      assert.matches("resume_channels (instruction 3) must come before resume_ranch_acceptors (instruction 2): else websockets",
        found.reason, 1, true)
      silent("[point_of_no_return," .. resume .. "," .. resume_acceptors .. "]")
    end)

    it("wants suspends before code changes, and resumes after all of them: " .. runtime, function()
      silent("[" .. LOAD:format(suspend .. ",", "," .. resume) .. "]")
      local found = find(lint(relup("[" .. LOAD:format("", "," .. suspend .. "," .. resume) .. "]")), "order")
      assert.matches("suspend_channels (instruction 4) must come before the change of code (instruction 3)",
        found[1].reason, 1, true)
      found = only("[" .. LOAD:format(suspend .. "," .. resume .. ",", "") .. "]", "order")
      assert.matches("the change of code (instruction 5) must come before resume_channels (instruction 4)",
        found.reason, 1, true)
    end)

    it("misses the resume: " .. runtime, function()
      local found = only("[point_of_no_return," .. suspend .. "]", "no_resume")
      assert.matches("suspend_channels has no resume_channels", found.reason)
    end)
  end

  it("finds nothing wrong with a relup that the phoenix modification has patched", function()
    local plain = relup [[[{load_object_code,{myapp,"2",[m]}},point_of_no_return,{suspend,[m]},
      {load,{m,brutal_purge,soft_purge}},{code_change,up,[{m,[]}]},{resume,[m]}] ]]
    for _, runtime in ipairs { "guard", "edeliver" } do
      local patched = modification.apply(plain, { name = "myapp", runtime = runtime }, phoenix_modification)
      assert.are.same({}, lint(patched))
    end
  end)

  it("wants processes resumed that the script suspends", function()
    assert.are.equal(2, only("[point_of_no_return,{suspend,[m,{n,500}]},{resume,[m]}]", "no_resume").position)
    silent "[point_of_no_return,{suspend,[m,{n,500}]},{resume,[m,n]}]"
  end)

  it("says whom a brutal purge kills", function()
    local LOAD = '[{load_object_code,{a,"2",[m]}},point_of_no_return,{%s,{m,%s,%s}}]'
    local found = only(LOAD:format("load", "brutal_purge", "soft_purge"), "brutal_purge")
    assert.are.equal("warning", found.level)
    assert.matches("from before the last upgrade are killed", found.reason)
    assert.matches("when the release is made permanent",
      only(LOAD:format("load", "soft_purge", "brutal_purge"), "brutal_purge").reason)
    only("[point_of_no_return,{remove,{m,brutal_purge,brutal_purge}}]", "brutal_purge")
    only("[point_of_no_return,{purge,[m]}]", "brutal_purge")
    silent "[point_of_no_return,{remove,{m,soft_purge,soft_purge}}]"
  end)

  it("wants object code read before it is loaded", function()
    only("[point_of_no_return,{load,{m,soft_purge,soft_purge}}]", "no_object_code")
  end)

  it("makes one finding of what repeats for each module, with the modules and their number", function()
    local loads, names = {}, {}
    for i = 1, 12 do
      names[i] = "m" .. i
      loads[i] = ("{load,{m%d,brutal_purge,soft_purge}}"):format(i)
    end
    local finding = only(('[{load_object_code,{a,"2",[%s]}},point_of_no_return,%s]'):format(
      table.concat(names, ","), table.concat(loads, ",")), "brutal_purge")
    assert.are.equal(12, finding.count)
    assert.are.same(names, finding.modules)
    assert.are.same({ 3, 14 }, { finding.positions[1], finding.positions[12] })
    assert.are.equal("warning: up from 1, instructions 3 to 14: processes that run code of 12 modules (m1, m2, m3, m4, m5, "
      .. "m6, m7, m8 and 4 more) from before the last upgrade are killed", tostring(finding))
    finding = only("[point_of_no_return,{load_module,a},{load_module,b},{update,c}]", "high_level")
    assert.are.equal("2 kinds of instructions (load_module, update) belong into an appup: systools translates them, "
      .. "the release handler does not know them", finding.reason)
  end)

  it("makes one finding of what repeats for each version", function()
    local ups = {}
    for i = 1, 5 do ups[i] = ('{"1.%d",[],[restart_new_emulator]}'):format(i) end
    local found = lint(parse(('{"2",[%s],[{"1.1",[],[restart_emulator,point_of_no_return]}]}.'):format(table.concat(ups, ","))))
    assert.are.equal("warning: up from 1.1 and 4 more versions, instruction 1: restart_new_emulator: restart_new_emulator "
      .. "restarts the node: every connection is lost, suspended or not", tostring(found[1]))
    assert.are.same({ "1.1", "1.2", "1.3", "1.4", "1.5" }, found[1].versions)
    assert.are.equal("early_restart", found[2].kind)
    assert.are.equal(2, #found)
  end)

  it("says of a relup that leads nowhere that it does, and of one that does nothing", function()
    local found = lint.relup(parse '{"2",[],[]}.')
    assert.are.equal("error: relup: it has no way up and no way down: release_handler refuses every install",
      tostring(found[1]))
    assert.are.equal("warning", lint.appup(parse '{"2",[],[]}.')[1].level)
    for _, script in ipairs { "[]", "[point_of_no_return]", "[point_of_no_return,{sync_nodes,a,[]}]" } do
      assert.are.equal("warning", only(script, "changes_nothing").level)
    end
    assert.are.equal("entry_twice", lint(parse(
      '{"2",[{"1",[],[{apply,{m,f,[]}}]},{"1",[],[{apply,{m,f,[]}}]}],[]}.'))[1].kind)
  end)

  it("wants no call of the guard on an emulator that has none", function()
    local call = "{apply,{gen_server,call,[edeliver_relup,{run,info,[x]},infinity]}}"
    local found = find(lint(relup("[restart_new_emulator," .. call .. "," .. call .. "]")), "no_guard")
    assert.are.equal(1, #found)
    assert.are.equal(2, found[1].position)
  end)

  it("wants modules loaded before they are run, and not run once removed", function()
    local found = only('[{load_object_code,{a,"2",[m]}},point_of_no_return,{apply,{m,run,[x]}},{load,{m,soft_purge,soft_purge}}]',
      "run_before_load")
    assert.matches("m:run/1 is called, but m is loaded only by instruction 4", found.reason, 1, true)
    only("[point_of_no_return,{remove,{m,soft_purge,soft_purge}},{apply,{m,f,[]}}]", "run_after_unload")
  end)
end)

describe("lint, against real releases:", function()
  local folder, old, new

  lazy_setup(function()
    local pipe <close> = assert(io.popen "mktemp -d")
    folder = pipe:read "l"
    assert(os.execute(("escript %slint/relups.escript %s"):format(here, folder)))
    old, new = { folder .. "/lib/shop-1.0.0/ebin" }, { folder .. "/lib/shop-2.0.0/ebin" }
  end)

  lazy_teardown(function() os.execute("rm -rf '" .. folder .. "'") end)

  local function read(name)
    local handle <close> = assert(io.open(folder .. "/relups/" .. name .. "/relup", "rb"))
    return handle:read "a"
  end

  it("no false alarm on what systools makes of any form of appup(5)", function()
    local pipe <close> = assert(io.popen("ls " .. folder .. "/relups"))
    local count = 0
    for name in pipe:lines() do
      count = count + 1
      for _, options in ipairs { {}, { old = old, new = new } } do
        for _, finding in ipairs(lint(parse(read(name)), options)) do
          -- What the appup really leaves out, and what it really kills.
          local is_true = finding.kind == "brutal_purge" and read(name):find "brutal_purge"
            or finding.kind == "restart" and name:find "restart" or finding.kind == "changes_nothing" and name == "nothing"
            or finding.kind == "module_not_loaded" and options.old
          assert.is_truthy(is_true, name .. ": " .. tostring(finding))
        end
      end
    end
    assert.are.equal(18, count)
  end)

  it("nothing at all where the appup is complete", function()
    local findings = lint(parse(read "restart_application"), { old = old, new = new })
    assert.are.equal(#find(findings, "brutal_purge"), #findings)
    findings = lint(parse(read "swap"), { old = old, new = new })
    assert.are.equal(#find(findings, "brutal_purge"), #findings)
    findings = lint(parse(read "restart_new_emulator"), { old = old, new = new })
    assert.are.equal(2, #find(findings, "restart"))
    assert.are.equal(2, #findings)
  end)

  it("modules whose code differs and that nothing loads", function()
    local found = {}
    for _, finding in ipairs(lint(parse(read "nothing"), { old = old, new = new })) do
      found[#found + 1] = tostring(finding)
    end
    assert.are.same({
      "error: up from 1.0.0: the code of 3 modules (m_a, m_b, m_sup) differs, and nothing loads them",
      "warning: up from 1.0.0: m_new is new, and nothing loads it: a node in embedded mode will not find it",
      "error: down to 1.0.0: the code of 3 modules (m_a, m_b, m_sup) differs, and nothing loads them",
      "warning: down to 1.0.0: m_old is new, and nothing loads it: a node in embedded mode will not find it",
    }, found)
    -- The folders of another release than the entry's say nothing.
    for _, finding in ipairs(lint(parse(read "nothing"), { old = old, new = new, version = "0.9" })) do
      assert.are.equal("changes_nothing", finding.kind)
    end
  end)

  it("functions that do not exist when they are called", function()
    local options = { new = new, old = old }
    local function relup_of(script)
      return parse(('{"2.0.0",[{"1.0.0",[],[{load_object_code,{shop,"2.0.0",[m_a]}},point_of_no_return,%s]}],[]}.')
        :format(script))
    end
    local function kinds(script)
      local found = {}
      for _, finding in ipairs(lint(relup_of(script), options)) do
        if finding.kind ~= "module_not_loaded" then found[#found + 1] = finding.kind .. ": " .. finding.reason end
      end
      return found
    end
    local LOAD = "{load,{m_a,soft_purge,soft_purge}}"
    -- later/2 is in version 2 only.
    assert.are.same({}, kinds(LOAD .. ",{apply,{m_a,later,[1,2]}}"))
    assert.are.same({ "no_such_function: there is no function m_a:later/2" }, kinds("{apply,{m_a,later,[1,2]}}," .. LOAD))
    assert.are.same({ "no_such_function: there is no function m_a:later/1" }, kinds(LOAD .. ",{apply,{m_a,later,[1]}}"))
    assert.are.same({}, kinds("{apply,{m_a,version,[]}}," .. LOAD .. ",{apply,{io,format,[]}},{apply,{erlang,halt,[]}}"))
  end)

  it("a module that is new is not run before it is loaded", function()
    local text = ('{"2.0.0",[{"1.0.0",[],[{load_object_code,{shop,"2.0.0",[m_new]}},point_of_no_return,'
      .. "{apply,{m_new,version,[]}},{load,{m_new,soft_purge,soft_purge}}]}],[]}.")
    assert.are.equal(1, #find(lint(parse(text), { old = old, new = new }), "run_before_load"))
    assert.are.equal(0, #find(lint(parse(text)), "run_before_load"))
  end)

  it("a folder that is not there is an error, not an empty one", function()
    local findings, message, code = lint(relup "[point_of_no_return]", { new = { folder .. "/missing" } })
    assert.is_nil(findings)
    assert.are.equal("system", code)
    assert.matches("missing cannot be listed", message, 1, true)
  end)

  describe("beam files", function()
    local function bytes_of(path)
      local handle <close> = assert(io.open(path, "rb"))
      return handle:read "a"
    end

    it("say what they export", function()
      assert.are.same({ ["version/0"] = true, ["later/2"] = true, ["module_info/0"] = true, ["module_info/1"] = true },
        beam.exports(new[1] .. "/m_a.beam"))
    end)

    it("compare by code alone", function()
      assert.is_true(beam.is_same_code(old[1] .. "/m_same.beam", new[1] .. "/m_same.beam"))
      assert.is_false(beam.is_same_code(old[1] .. "/m_a.beam", new[1] .. "/m_a.beam"))
      local bytes = bytes_of(old[1] .. "/m_a.beam")
      local path = folder .. "/other.beam"
      local chunk = "Xtra" .. string.pack(">I4", 4) .. "more"
      local handle <close> = assert(io.open(path, "wb"))
      handle:write("FOR1", string.pack(">I4", #bytes - 8 + #chunk), bytes:sub(9), chunk)
      handle:flush()
      assert.is_true(beam.is_same_code(old[1] .. "/m_a.beam", path))
    end)

    it("are not the same where they cannot be read", function()
      local none = folder .. "/none.beam"
      for _, path in ipairs { none, new[1] .. "/m_a.beam" } do assert.is_false(beam.is_same_code(none, path)) end
    end)

    it("may be folders or pipes, which are refused, and never waited for", function()
      os.execute(("mkdir %s/folder.beam && mkfifo %s/pipe.beam"):format(folder, folder))
      for _, name in ipairs { "folder", "pipe" } do
        assert.same({ nil, "it cannot be read" }, { beam.exports(("%s/%s.beam"):format(folder, name)) })
      end
    end)

    it("never crash us, wherever they are cut short", function()
      local bytes = bytes_of(old[1] .. "/m_a.beam")
      local path = folder .. "/cut.beam"
      for size = 0, #bytes - 1, 7 do
        local handle = assert(io.open(path, "wb"))
        handle:write(bytes:sub(1, size))
        handle:close()
        local exports, message = beam.exports(path)
        assert.is_true(exports == nil and type(message) == "string" or type(exports) == "table")
        assert.is_boolean(beam.is_same_code(path, old[1] .. "/m_a.beam"))
      end
    end)
  end)
end)
