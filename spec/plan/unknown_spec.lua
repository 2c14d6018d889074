-- What no file tells is said, and not passed over: of small releases that are compiled here.

local plan = require "edeliver.relup.plan"
local process = require "support.process"

-- Modules of a version: text in which VSN is the version.
local SOURCES = {
  m_tree = [[
    -behaviour(supervisor). -export([init/1]).
    init(_) -> {ok, {#{}, [#{id => a, start => {m_helper, start_link, []}} | m_helper:more(VSN)]}}.]],
  m_still = [[
    -behaviour(supervisor). -export([init/1, vsn/0]).
    init(_) -> {ok, {#{}, [#{id => a, start => {m_helper, start_link, []}} | m_same:more()]}}.
    vsn() -> VSN.]],
  m_helper = [[
    -export([start_link/0, more/1]).
    start_link() -> {ok, self()}.
    more(1) -> []; more(_) -> [VSN].]],
  m_same = [[ -export([more/0]). more() -> []. ]],
  m_struct = [[ -export(['__struct__'/0]). '__struct__'() -> maps:from_list([{'__struct__', m_struct}, {a, VSN}]). ]],
  m_field = [[ -export(['__struct__'/0]). '__struct__'() -> #{'__struct__' => m_field, FIELD => 1, same => false}. ]],
  m_component = [[ -behaviour('Elixir.Phoenix.LiveComponent'). -export([update/2]). update(A, S) -> {VSN, A, S}. ]],
  m_channel = [[
    -behaviour('Elixir.Phoenix.Channel'). -export([join/3, code_change/3]).
    join(_, _, S) -> {ok, begin_with(S)}.
    begin_with(S) -> {S, #{'__struct__' => m_field}}.
    code_change(_, S, _) -> {ok, S}.]],
}

describe("a plan", function()
  local folder, made

  local function release(version)
    local root = ("%s/%s"):format(folder, version)
    local ebin, names = ("%s/lib/small-%s/ebin"):format(root, version), {}
    assert(os.execute(("mkdir -p %s %s/releases/%s"):format(ebin, root, version)))
    for name, text in pairs(SOURCES) do
      names[#names + 1] = name
      local file <close> = assert(io.open(("%s/%s.erl"):format(root, name), "w"))
      file:write(("-module(%s).\n"):format(name), (text:gsub("VSN", version):gsub("FIELD", "f" .. version)))
    end
    table.sort(names)
    local text, good = process.output(("cd %s && erlc -o %s *.erl 2>&1"):format(root, ebin))
    assert.is_true(good, text)
    local app <close> = assert(io.open(ebin .. "/small.app", "w"))
    app:write(('{application,small,[{vsn,"%s"},{modules,[%s]}]}.\n'):format(version, table.concat(names, ",")))
    local rel <close> = assert(io.open(("%s/releases/%s/small.rel"):format(root, version), "w"))
    rel:write(('{release,{"small","%s"},{erts,"1"},[{small,"%s"}]}.\n'):format(version, version))
    return root
  end

  setup(function()
    folder = process.temporary_folder()
    made = assert(plan.compare(release "1", release "2"))
  end)
  teardown(function() process.remove_folder(folder) end)

  local function text_of(code, place)
    for _, reason in ipairs(made.reasons) do
      if reason.code == code and reason.place == place then return reason.text end
    end
    return nil
  end

  it("says which module decides, too, where a changed one helps to list children", function()
    assert.equal("Which children m_tree has is decided by m_helper, too, and no file tells it.",
      text_of("children_unknown", "m_tree"))
    assert.is_nil(text_of("children_unknown", "m_still"))
  end)

  it("says where a struct's fields cannot be told", function()
    assert.truthy(text_of("struct_unknown", "m_struct"))
    assert.is_nil(text_of("struct_unknown", "m_field"))
  end)

  it("names a channel that begins with a struct whose fields change, by a function of its own", function()
    assert.equal("The struct m_field gains the field f2 and loses the field f1, and m_channel keeps its old form as state "
      .. "with no code_change of its own.", text_of("struct_fields_changed", "m_channel"))
  end)

  it("says that no code_change reaches a LiveComponent", function()
    assert.truthy(text_of("live_component_changed", "m_component"))
  end)
end)
