-- Each rule about a script, judged by the real release_handler: what it refuses, what fails behind the point of no return, what a
-- dry run changes and what an install leaves behind is an error of lint's, and nothing else is.

local consult = require "edeliver.relup.consult"
local chat = require "support.chat"
local lint = require "edeliver.relup.lint"
local process = require "support.process"
local shared = require "support.shared"
local term = require "edeliver.relup.term"

local READ = '{load_object_code,{shop,"2.0.0",[%s]}}'
local READ_A, LOAD_A, LOAD_B = READ:format "m_a", "{load,{m_a,soft_purge,soft_purge}}", "{load,{m_b,soft_purge,soft_purge}}"
local NO_RETURN, CHANGE_A = "point_of_no_return", "{code_change,up,[{m_a,[]}]}"

-- Scripts, and the kinds of errors and warnings that they deserve.
local CASES = {
  { { READ_A, NO_RETURN, LOAD_A } },
  { { READ_A, NO_RETURN, "{suspend,[m_a]}", LOAD_A, CHANGE_A, "{resume,[m_a]}" } },
  { { READ_A, NO_RETURN, "{suspend,[{m_a,2000}]}", "{code_change,down,[{m_a,[]}]}", LOAD_A, "{resume,[m_a]}" } },
  { { "{apply,{erlang,garbage_collect,[]}}" } },
  { { "{apply,{erlang,garbage_collect,[]}}", READ_A, NO_RETURN, LOAD_A, "{stop,[m_a]}", "{start,[m_a]}", "{purge,[m_a]}" } },
  { { READ:format "m_a,m_b", NO_RETURN, LOAD_B, LOAD_A } },
  { { READ_A, READ_A, NO_RETURN, LOAD_A, LOAD_A } }, -- read twice, loaded twice
  { { READ_A, NO_RETURN, "{sync_nodes,id,[]}", LOAD_A, "{sync_nodes,id,{erlang,nodes,[]}}" } },
  { { READ_A, NO_RETURN, "{remove,{m_a,soft_purge,soft_purge}}", "{purge,[m_a]}", LOAD_A } },
  { { READ_A, NO_RETURN, LOAD_A, NO_RETURN, "{apply,{m_a,version,[]}}" }, {}, { "several_points_of_no_return" } },
  -- The order and the use of object code.
  { { NO_RETURN, READ_A, LOAD_A }, { "late_object_code" } },
  { { READ_A, NO_RETURN, LOAD_A, LOAD_A }, { "loaded_twice" } },
  { { READ:format "m_a,m_b", NO_RETURN, LOAD_A, LOAD_B, LOAD_A, LOAD_B }, { "loaded_twice" } },
  { { NO_RETURN, LOAD_A }, { "no_object_code" } },
  { { READ:format "m_b", NO_RETURN, LOAD_B, LOAD_A }, { "no_object_code" } },
  { { READ_A, NO_RETURN, "{apply,{erlang,garbage_collect,[]}}" }, {}, { "unused_object_code" } },
  { { READ_A, '{load_object_code,{shop,"3.0.0",[m_b]}}', NO_RETURN, LOAD_A, LOAD_B }, { "conflicting_versions" } },
  { { '{load_object_code,{stdlib,"STDLIB",[lists]}}', NO_RETURN, "{load,{lists,soft_purge,soft_purge}}" }, { "sticky" } },
  { { '{load_object_code,{kernel,"KERNEL",[inet]}}', NO_RETURN, "{load,{inet,soft_purge,soft_purge}}" }, { "sticky" } },
  { { READ:format "m_old", NO_RETURN, "{load,{m_old,soft_purge,soft_purge}}" }, { "not_in_release" }, {}, true },
  { { '{load_object_code,{extra,"1.0.0",[m_a]}}', NO_RETURN, LOAD_A }, { "not_in_release" }, {}, true },
  { { '{load_object_code,{shop,"1.0.0",[m_a]}}', NO_RETURN, LOAD_A }, { "wrong_version" }, {}, true },
  -- What may be before the point of no return.
  { { READ_A, LOAD_A, NO_RETURN }, { "early_change" } },
  { { "{suspend,[m_a]}", "{resume,[m_a]}", READ_A, "{stop,[m_a]}", LOAD_A, "{start,[m_a]}", CHANGE_A, NO_RETURN },
    { "early_change" }, { "no_code_change" } },
  { { "{remove,{m_a,soft_purge,soft_purge}}", NO_RETURN }, { "early_change" } },
  { { "{suspend,[m_a]}", NO_RETURN, "{resume,[m_a]}" }, { "early_change" } },
  -- Without such a point all is behind it.
  { { READ_A, LOAD_A }, { "no_point_of_no_return" } },
  { { READ_A, "{apply,{erlang,garbage_collect,[]}}" }, { "no_point_of_no_return" }, { "unused_object_code" } },
  { { "{suspend,[m_a]}", "{resume,[m_a]}", "{stop,[m_a]}", "{start,[m_a]}" } },
  { { "{apply,{erlang,error,[mine]}}" }, {}, {}, false, "restarts" },
  { { "{apply,{erlang,error,[mine]}}", NO_RETURN }, {}, {}, false, "refused" },
  -- Restarts.
  { { "restart_new_emulator" }, {}, { "restart" } },
  { { "restart_new_emulator", READ_A, NO_RETURN, LOAD_A }, {}, { "restart" } },
  { { READ_A, NO_RETURN, LOAD_A, "restart_emulator" }, {}, { "restart" } },
  { { "restart_new_emulator", READ_A, NO_RETURN, LOAD_A, "restart_emulator" }, {}, { "restart" } },
  { { "restart_emulator", NO_RETURN }, { "early_restart" } },
  { { "restart_emulator" }, {}, { "restart" } },
  { { "{apply,{erlang,garbage_collect,[]}}", "restart_new_emulator" }, { "restart_not_first" } },
  { { READ_A, "restart_new_emulator", NO_RETURN, LOAD_A }, { "restart_not_first" } },
  { { "restart_new_emulator", "restart_new_emulator", READ_A, NO_RETURN, LOAD_A }, { "restart_not_first" }, { "restart" } },
  { { READ_A, NO_RETURN, "restart_new_emulator", LOAD_A }, { "restart_not_first" } },
  { { READ_A, NO_RETURN, "restart_emulator", LOAD_A }, { "never_runs" }, { "restart" } },
  -- Processes.
  { { NO_RETURN, "{suspend,[m_a]}" }, { "no_resume" } },
  { { NO_RETURN, "{resume,[m_a]}", "{suspend,[m_a]}" }, { "no_resume" }, { "not_suspended" } },
  { { NO_RETURN, "{stop,[m_a]}" }, { "no_start" } },
  { { NO_RETURN, "{start,[m_a]}" }, {}, { "not_stopped" } },
  { { READ_A, NO_RETURN, LOAD_A, CHANGE_A }, {}, { "no_code_change" } },
  { { READ_A, NO_RETURN, "{suspend,[m_a]}", "{resume,[m_a]}", LOAD_A, "{code_change,[{m_a,[]}]}" }, {}, { "no_code_change" } },
  -- What is called.
  { { READ_A, NO_RETURN, LOAD_A, "{apply,{m_a,later,[1,2]}}" }, {}, {}, true },
  { { READ_A, NO_RETURN, "{apply,{m_a,later,[1,2]}}", LOAD_A }, { "no_such_function" }, {}, true },
  { { READ_A, NO_RETURN, LOAD_A, "{apply,{m_a,later,[]}}" }, { "no_such_function" }, {}, true },
  { { "{apply,{m_a,nothing,[]}}", NO_RETURN, "{apply,{m_a,version,[]}}" }, { "no_such_function" }, {}, true },
  { { READ:format "m_new", NO_RETURN, "{apply,{m_new,version,[]}}", "{load,{m_new,soft_purge,soft_purge}}" },
    { "run_before_load" }, {}, true },
  { { READ_A, NO_RETURN, "{apply,{m_a,run,[x]}}", LOAD_A }, { "run_before_load" } },
  { { NO_RETURN, "{remove,{m_a,soft_purge,soft_purge}}", "{apply,{m_a,version,[]}}" }, { "run_after_unload" } },
  { { NO_RETURN, "{apply,{gen_server,call,[edeliver_relup,{run,check_ranch_acceptors,[x]},infinity]}}" }, { "late_check" } },
  { { "restart_new_emulator", "{apply,{gen_server,call,[edeliver_relup,{run,info,[x]},infinity]}}", NO_RETURN }, { "no_guard" },
    { "restart" } },
  -- What has no shape.
  { { READ_A, NO_RETURN, "{frobnicate,m_a}" }, { "unknown_instruction" } },
  { { READ_A, NO_RETURN, "{load_module,m_a}" }, { "high_level" }, { "unused_object_code" } },
  { { READ_A, NO_RETURN, "{load,m_a}" }, { "bad_shape" } },
  { { '{load_object_code,{shop,"2.0.0",m_a}}', NO_RETURN }, { "bad_shape" } },
}

local function kinds_of(findings, level)
  local kinds, known = {}, {}
  for _, finding in ipairs(findings) do
    if finding.level == level and not known[finding.kind] then kinds[#kinds + 1], known[finding.kind] = finding.kind, true end
  end
  return kinds
end

describe("lint's rules", function()
  local folder, scripts, verdicts = nil, {}, {}

  setup(function()
    folder = process.temporary_folder()
    assert(os.execute(("escript %s/spec/lint/relups.escript %s"):format(process.root, folder)))
    local versions = process.output [==[erl -noshell -boot start_clean -eval '
      [begin {ok, V} = application:get_key(A, vsn), io:format("~s ", [V]) end || A <- [kernel, stdlib]], halt().']==]
    local kernel, stdlib = versions:match "^(%S+) (%S+)"
    local file <close> = assert(io.open(folder .. "/cases", "w"))
    for i, case in ipairs(CASES) do
      scripts[i] = ("[%s]"):format(table.concat(case[1], ",")):gsub("KERNEL", kernel):gsub("STDLIB", stdlib)
      file:write(("{%d,%s}.\n"):format(i, scripts[i]))
    end
    file:close()
    local printed = process.output(("escript %s/spec/lint/judge.escript %s %s/cases 2>&1"):format(process.root, folder, folder))
    for _, verdict in ipairs(assert(consult.parse(printed))) do
      verdicts[verdict[1]] = {
        text = term.format(verdict), check = verdict[2].name, changed = verdict[3], install = verdict[4].name,
        left = term.format(verdict[5]),
      }
    end
  end)

  teardown(function() process.remove_folder(folder) end)

  for i, case in ipairs(CASES) do
    local script = table.concat(case[1], ", ")
    it(("agree with release_handler about %s"):format(script), function()
      local function ebins(version) return { folder .. "/lib/shop-" .. version .. "/ebin", folder .. "/lib/extra-1.0.0/ebin" } end
      local options = case[4] and { old = ebins "1.0.0", new = ebins "2.0.0" } or {}
      local relup = assert(consult.parse(('{"2.0.0",[{"1.0.0",[],%s}],[]}.'):format(scripts[i])))[1]
      local found = {}
      for _, finding in ipairs(lint(relup, options)) do
        -- The scripts load one module of several that differ.
        if finding.kind ~= "module_not_loaded" then found[#found + 1] = finding end
      end
      assert.same(case[2] or {}, kinds_of(found, "error"))
      assert.same(case[3] or {}, kinds_of(found, "warning"))
      local verdict = assert(verdicts[i], "no verdict")
      if case[5] then return assert.equal(case[5], verdict.install) end -- what no script tells
      local is_bad = verdict.check ~= "ok" or verdict.changed or verdict.install == "refused" or verdict.install == "restarts"
        or verdict.left:find "suspended" or verdict.left:find "stopped" or verdict.left:find "not_loaded"
      assert.equal(#(case[2] or {}) > 0, is_bad and true or false, verdict.text)
      for _, kind in ipairs(case[3] or {}) do
        if kind == "no_code_change" and #(case[2] or {}) == 0 then assert.equal("[no_code_change]", verdict.left) end
      end
    end)
  end
end)

-- The same through release_handler's own door, with relups on the disk of a real release.
describe("lint agrees with the release_handler of a release about", function()

  local release = shared(chat.start)
  setup(function() assert(release:eval 'release_handler:unpack_release("chat-2.0.0")') end)


  local MARK = "[{apply,{persistent_term,put,[way,%s]}}]"
  local CHAT = '{load_object_code,{chat,"2.0.0",[chat_http]}}'
  local RELUPS = {
    { "an empty relup", '{"2.0.0",[],[]}.', "no_way", "^{error,{enoent,\".*/1.0.0/relup\"}}$" },
    { "a script that does nothing", '{"2.0.0",[{"1.0.0",[],[]}],[]}.', nil, "{ok,\"1.0.0\",[]}" },
    { "a script of calls alone", ('{"2.0.0",[{"1.0.0",[],%s}],[]}.'):format(MARK:format "a"), nil, "{ok,\"1.0.0\",[]}" },
    { "a script that only restarts", '{"2.0.0",[{"1.0.0",[],[restart_new_emulator]}],[]}.', nil, "{ok,\"1.0.0\",[]}" },
    { "object code that is read too late", ('{"2.0.0",[{"1.0.0",[],[point_of_no_return,%s]}],[]}.'):format(CHAT),
      "late_object_code", "{error,{illegal_instruction_after_point_of_no_return," .. CHAT .. "}}" },
    { "modules that the release does not have",
      '{"2.0.0",[{"1.0.0",[],[{load_object_code,{chat,"2.0.0",[nobody]}},point_of_no_return]}],[]}.',
      "not_in_release", "^{error,{no_such_file,\".*nobody.beam\"}}$" },
    { "another version of an application",
      '{"2.0.0",[{"1.0.0",[],[{load_object_code,{chat,"1.0.0",[chat_http]}},point_of_no_return]}],[]}.',
      "wrong_version", "{error,{bad_lib_vsn,chat,\"2.0.0\"}}" },
  }
  for _, case in ipairs(RELUPS) do
    local what, text, kind, answer = table.unpack(case)
    it(what, function()
      local file = assert(io.open(release.root .. "/releases/2.0.0/relup", "w"))
      file:write(text, "\n")
      file:close()
      local folder = release.root .. "/lib/chat-%s/ebin"
      local found = lint(assert(consult.parse(text))[1], { old = { folder:format "1.0.0" }, new = { folder:format "2.0.0" } })
      local errors = {}
      for _, finding in ipairs(found) do
        if finding.level == "error" and finding.kind ~= "module_not_loaded" then errors[#errors + 1] = finding.kind end
      end
      assert.same({ kind }, errors)
      local said = assert(release:eval 'release_handler:check_install_release("2.0.0")'):gsub("%s+", "")
      if answer:find "^%^" then assert.matches(answer, said) else assert.equal(answer, said) end
    end)
  end

  it("two entries for a version: it takes the first", function()
    local text = ('{"2.0.0",[{"1.0.0",[],%s},{"1.0.0",[],%s}],[]}.'):format(MARK:format "first", MARK:format "second")
    assert.equal("entry_twice", lint(assert(consult.parse(text))[1])[1].kind)
    local file = assert(io.open(release.root .. "/releases/2.0.0/relup", "w"))
    file:write(text, "\n")
    file:close()
    assert(release:eval 'release_handler:install_release("2.0.0")')
    assert.equal("first", release:eval "persistent_term:get(way)")
  end)
end)
