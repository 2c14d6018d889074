-- The core's reader of .beam files against OTP itself: for every file of the Erlang on the PATH, and of Elixir where it is there,
-- the module's md5, its exports, imports, functions and attributes are what OTP says; all literals and instructions can be read.
-- tools/matrix runs this with several releases of OTP, each in a root folder of its own that TMPDIR lies in.

local core = require "edeliver.relup.core"
local process = require "support.process"
local term = require "edeliver.relup.term"

core.set_types(term.types)

local ASK = [[
  Names = fun(List) -> lists:sort([lists:flatten(io_lib:format("~ts/~p", [N, A])) || {N, A} <- List]) end,
  Imported = fun(List) -> lists:sort([lists:flatten(io_lib:format("~ts:~ts/~p", [M, N, A])) || {M, N, A} <- List]) end,
  {ok, Out} = file:open("FOLDER/answers", [write, raw, binary]),
  Files = filelib:wildcard(code:lib_dir() ++ "/*/ebin/*.beam") ++ filelib:wildcard("/usr/lib/elixir/lib/*/ebin/*.beam"),
  [begin
     {ok, Bin} = file:read_file(File),
     {ok, {_, [{exports, E}, {imports, I}, {attributes, A}]}} = beam_lib:chunks(Bin, [exports, imports, attributes]),
     Answer = {list_to_binary(File), code:module_md5(Bin), [list_to_binary(X) || X <- Names(E)],
       [unicode:characters_to_binary(X) || X <- Imported(I)], A},
     Term = term_to_binary(Answer),
     ok = file:write(Out, [<<(byte_size(Term)):32>>, Term])
   end || File <- Files],
  halt().]]

local function sorted(list)
  table.sort(list)
  return table.concat(list, " ")
end

-- As beam_lib does: sorted by name, the values of one name together.
local function grouped(attributes)
  local groups, names = {}, {}
  for _, attribute in ipairs(attributes) do
    local name = attribute[1].name
    if not groups[name] then
      groups[name] = {}
      names[#names + 1] = name
    end
    for _, value in ipairs(attribute[2]) do table.insert(groups[name], value) end
  end
  table.sort(names)
  local list = {}
  for i, name in ipairs(names) do list[i] = term.tuple { term.atom(name), term.list(groups[name]) } end
  return term.format(term.list(list))
end

describe("the core's reader of .beam files", function()
  local folder, root, answers

  setup(function()
    folder = process.temporary_folder()
    local text, good = process.output(("erl -noshell -boot start_clean -eval %s 2>&1")
      :format(process.quote((ASK:gsub("FOLDER", folder)))))
    assert.is_true(good, text)
    local beneath = (os.getenv "TMPDIR" or ""):match "^(.*/build/otp/%w+/root)/tmp$"
    root = beneath or ""
    answers = assert(io.open(folder .. "/answers", "rb"))
  end)

  teardown(function()
    answers:close()
    process.remove_folder(folder)
  end)

  local function each()
    answers:seek "set"
    return function()
      local head = answers:read(4)
      if not head then return nil end
      local answer = assert(core.decode(answers:read((string.unpack(">I4", head)))))
      local path = root .. answer[1]
      return path, assert(core.beam(assert(process.read_file(path)))), answer
    end
  end

  it("says what OTP says of every one", function()
    local count = 0
    for path, file, answer in each() do
      local md5 = answer[2]:gsub(".", function(c) return ("%02x"):format(c:byte()) end)
      assert.equal(md5, file:md5(), path)
      assert.equal(table.concat(answer[3], " "), sorted(assert(file:exports())), path)
      assert.equal(sorted { table.unpack(answer[4]) }, sorted(assert(file:imports())), path)
      assert.equal(term.format(answer[5]), grouped(assert(file:attributes())), path)
      count = count + 1
    end
    assert.is_true(count > 200, count)
  end)

  it("reads every literal and every exported function's instructions", function()
    local functions, literals = 0, 0
    for path, file in each() do
      for index = 0, assert(file:literals()) - 1 do
        local literal, message = file:literal(index)
        assert(literal ~= nil, path .. ": " .. tostring(message))
        literals = literals + 1
      end
      local exports, known = file:exports(), {}
      for label, name in pairs(assert(file:functions(), path)) do known[name] = math.type(label) end
      for _, name in ipairs(exports) do assert.equal("integer", known[name], path .. ", " .. name) end
      for _, name in ipairs(assert(file:locals())) do assert.equal("integer", known[name], path .. ", " .. name) end
      for at = 1, #exports, 10 do -- each from the file's beginning, so not every one
        local name, arity = exports[at]:match "^(.*)/(%d+)$"
        local code, message = file:code(name, math.tointeger(arity))
        assert(code, path .. ", " .. exports[at] .. ": " .. tostring(message))
        assert.is_true(#code > 0)
        functions = functions + 1
      end
    end
    assert.is_true(functions > 200 and literals > 1000)
  end)
end)
