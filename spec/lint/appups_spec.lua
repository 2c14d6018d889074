-- Appups: those of the rules that systools judges, and those that OTP and Debian's packages carry, in which nothing is wrong.

local consult = require "edeliver.relup.consult"
local lint = require "edeliver.relup.lint"
local process = require "support.process"

local READ = '{load_object_code,{shop,"2.0.0",[m_a]}}'
local LOAD = "{load,{m_a,soft_purge,soft_purge}}"

-- Scripts, and lint's errors. systools refuses those that have any, but for the last: its relup restarts the node.
local CASES = {
  { "[{load_module,m_a}]" },
  { "[{load_module,m_b},{load_module,m_a,[m_b]}]" },
  { "[{update,m_a,{advanced,[]}},{apply,{m_a,version,[]}},restart_emulator]" },
  { "[restart_new_emulator]" },
  { "[{restart_application,shop}]" },
  { "[" .. READ .. ",point_of_no_return,{suspend,[m_a]}," .. LOAD .. ",{resume,[m_a]},{stop,[m_a]},{start,[m_a]}]" },
  { "[point_of_no_return," .. LOAD .. "," .. READ .. "]" },
  { "[{code_change,up,[{m_a,[]}]}]" },
  { "[{load_module,m_a},{update,m_a}]", "module_twice" },
  { "[{load_module,m_a,[m_b]}]", "unknown_dependency" },
  { "[{load_module,m_a},point_of_no_return]", "early_change" },
  { "[restart_new_emulator,point_of_no_return]", "early_change" },
  { "[point_of_no_return,{load_module,m_a},point_of_no_return]", "several_points_of_no_return" },
  { "[" .. LOAD .. "]", "no_object_code" },
  { "[{suspend,[m_a]}]", "no_resume" },
  { "[{resume,[m_a]}]", "not_suspended" },
  { "[{stop,[m_a]}]", "no_start" },
  { "[{start,[m_a]}]", "not_stopped" },
  { "[" .. READ .. ',{load_object_code,{shop,"3.0.0",[m_b]}}]', "conflicting_versions" },
  { "[{frobnicate,m_a}]", "unknown_instruction" },
  { "[{update,m_a,sideways}]", "bad_shape" },
  { "[" .. READ .. "," .. LOAD .. "," .. LOAD .. "]", "loaded_twice", systools_takes = true },
}

local function errors_of(findings)
  local kinds = {}
  for _, finding in ipairs(findings) do
    if finding.level == "error" then kinds[#kinds + 1] = finding.kind end
  end
  return kinds
end

describe("lint's rules for appups", function()
  local folder, verdicts = nil, {}

  setup(function()
    folder = process.temporary_folder()
    local escript = ("escript %s/spec/lint/relups.escript %s"):format(process.root, folder)
    assert(os.execute(escript))
    local file <close> = assert(io.open(folder .. "/cases", "w"))
    for i, case in ipairs(CASES) do file:write(("{%d,%s}.\n"):format(i, case[1])) end
    file:close()
    local printed = process.output(("%s %s/cases 2>&1"):format(escript, folder))
    for _, verdict in ipairs(assert(consult.parse(printed))) do verdicts[verdict[1]] = verdict[2] end
  end)

  teardown(function() process.remove_folder(folder) end)

  for i, case in ipairs(CASES) do
    it("agree with systools about " .. case[1], function()
      local appup = assert(consult.parse(('{"2.0.0",[{<<"1\\..*">>,%s}],[]}.'):format(case[1])))[1]
      assert.same({ case[2] }, errors_of(lint(appup)))
      local is_taken = tostring(assert(verdicts[i], "no verdict")) == "ok"
      assert.equal(case[2] == nil or case.systools_takes == true, is_taken, tostring(verdicts[i]))
    end)
  end
end)

describe("the appups of OTP and of Debian's packages", function()
  local folders = { process.root .. "/build/erlang", "/usr/lib/elixir" }
  folders[#folders + 1] = process.output "erl -noshell -boot start_clean -eval 'io:put_chars(code:lib_dir()), halt().'"
  local quoted = {}
  for i, folder in ipairs(folders) do quoted[i] = process.quote(folder) end
  local listed = process.output(("find -L %s '(' -name '*.appup' -o -name relup ')' -type f 2>/dev/null"):format(
    table.concat(quoted, " ")))

  it("are there", function() assert.truthy(listed:find "kernel%-[^\n]*/kernel.appup", listed) end)

  for path in listed:gmatch "[^\n]+" do
    it("have no errors: " .. path:match "[^/]*$", function()
      local terms = assert(consult.parse(process.read_file(path)))
      local check = path:find "appup$" and lint.appup or lint.relup
      for _, value in ipairs(terms) do assert.same({}, errors_of(check(value))) end -- ranch's has two
    end)
  end
end)
