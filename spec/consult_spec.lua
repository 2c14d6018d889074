local consult = require "edeliver.relup.consult"
local process = require "support.process"
local term = require "edeliver.relup.term"

local here = debug.getinfo(1, "S").source:match "^@(.*)consult_spec.lua$"
local atom, tuple, list, charlist, map = term.atom, term.tuple, term.list, term.charlist, term.map

local function parse(text) return assert(consult.parse(text .. "."))[1] end

local function read(path)
  local handle <close> = assert(io.open(path, "rb"))
  return handle:read "a"
end

local function write(path, text)
  local handle <close> = assert(io.open(path, "wb"))
  handle:write(text)
end

local function run(command)
  local pipe <close> = assert(io.popen(command .. " 2>&1"))
  return pipe:read "a"
end

-- Texts that file:consult takes or refuses; ours has to do the same.
local SYNTAX = {
  [["\^A\^a\^?\^@\^z"]], [[$\^a]], [["\q\a\xFF\400\777\x{1F600}"]], [["\b\d\e\f\n\r\s\t\v\\\"\'"]], "\"\\\n\"", "$ ", "$\n",
  [[$\x41]], [[$\101]], "$'", "$\"", "$%", "1_000", "16#ff_f", "16#fF", "36#Zz", "2#1010", "010", "1_0.0_1e1_0", "1.0E+3",
  "1.5e-7", "0.0", "-0.0", "-1", "- 1", "-(1)", "(-1)", "((a))", "-$a", "+1.0", "18446744073709551616",
  "-9223372036854775808", "9223372036854775808", "-123456789012345678901234567890", "16#ffffffffffffffffffff",
  '"a" "b"\n%c\n"c"', '[]', '[a|[b]]', "[a|b]", '[a|"bc"]', "[a,b|[c|d]]", "{}", "{a}", "{a,{b,[c]}}", "#{}", "# {a=>1}",
  "#{a=>1,a=>2}", "#{1=>a,1.0=>b}", "#{[a]=>{b}}", "<<>>", '<<"">>', "<<1,2,255>>", "<<256>>", "<<-1>>", "<<1:4>>",
  "<<5:3,1:5>>", '<<"a"/utf8>>', '<<"\\x{400}"/utf8>>', '<<"\\x{400}">>', '<<"a"/utf16>>', '<<"a\\x{1F600}"/utf16>>',
  '<<"ab"/little-utf16>>', '<<"a"/utf32>>', '<<"a"/little-utf32>>', '<<"ab":16>>', "<<$a,$b:16>>", "<<1:2/unit:8>>",
  "<<1:8/signed-integer-native>>", "<<258:16/little>>", "<<258:12/little>>", "<<258:12>>", "<<-2:70/little>>",
  "<<1.0/float>>", "<<1:64/float>>", "<<3.5:64/little-float>>", "<<1.5:32/float>>", "<<1.5:16/float>>",
  "<<65504.0:16/float>>", "<<1.0e-7:16/float>>", "<<0.1:16/float>>", "<<1,<<2>>/binary>>", "<<(<<2>>)/binary>>",
  "<<<<5:3>>/bits,1:5>>", "<<<<1,2>>:1/binary>>", "<<97/utf8>>", "<<1024/utf8>>", "<<(-(1))>>",
  "<<123456789012345678901234567890:128>>", "<<123456789012345678901234567890:16>>", '<<"a" "b">>', "<<+5>>", "fun a:b/1",
  "fun 'A':b/2", "a@b", "aB_c1", "''", "'a b'", [['\x{400}\n']], "'true'", "maybe", "ß", "äÖ", "'%'", "%c\na%d\n", "\u{a0}a",
  '"%"', "{\n%c\na\n,\nb}",
  ("9"):rep(2466), ("9"):rep(2467), "-" .. ("12345"):rep(1999), "{a,-16#1" .. ("0"):rep(10001) .. "}", "2#" .. ("1011"):rep(3000),
  "8#" .. ("7"):rep(10001), "32#" .. ("V0"):rep(3001), "4#" .. ("0123"):rep(5000), "36#" .. ("z"):rep(1999),
  [[$\^é]], '"\\^é\\^\u{FFFF}\\^\u{1F600}"', "$\u{FF01}", "'\u{FF01}'", "%\u{FF01}\na", '<<"\\^\u{FFFE}">>',
  "16#" .. ("0"):rep(99) .. "1", "-16#8000000000000000",
  "-16#8000000000000001", "16#7fffffffffffffff", "8#1000000000000000000000", "2#0",
  -- and what neither takes
  "", "a. b", "- -1", "-a", "-fun a:b/1", "+", "{a,}", "[a,]", "[|a]", "[a|]", "[a|b|c]", "{a", "a}", "(a,b)", "()",
  "#{a}", "#{a:=1}", "#{a=>1,}", "# a", "A", "_", "a.b", "begin", "if", "fun a/1", "fun a:b/256", "fun A:b/1", "1__0", "1_",
  "_1", "3#12_", "2#12", "37#1", "1#0", "16#", "16#_1", "0x1", "1.e5", "1.0e400", "1.5.", "$a$b", "'a'b", '"a', "'a",
  '"\\xq"', '"\\x{D800}"', '"\\x{110000}"', '"\\x{FFFE}"', "$\\x{D800}", "<<1,>>", "<<a>>", "<<1.0>>", "<<1.0:32>>",
  "<<1/unit:4>>", "<<1:-1>>", "<<1:a>>", "<<1/what>>", "<<<<1>>>>", '<<"a"/binary>>', "<<55296/utf8>>", "<<1,2",
  '"a" ++ "b"', "a b", "\"\xff\"", "\xe4", "~", "a;b", "1/2", "{a=>b}",
  -- U+FFFE and U+FFFF are no characters, wherever they stand
  "'\u{FFFF}'", '"a\u{FFFE}"', '<<"\u{FFFF}"/utf8>>', "$\u{FFFE}", "$\\\u{FFFF}", '"\\\u{FFFF}"', '"\\\\^\u{FFFF}"',
  "%\u{FFFF}\na", "a %\u{FFFE}\n", "\u{FFFF}a",
}

-- Whole files: which encoding they are in.
local LATIN_1, UTF_8 = '{n,"\xE9"}.\n', '{n,"\xC3\xA9"}.\n'
local ENCODED = {
  "%% coding: latin-1 (was: coding: utf-8)\n" .. LATIN_1, "%% coding: utf-8 (was: coding: latin-1)\n" .. UTF_8,
  "a. %% coding: latin-1\n" .. LATIN_1, "a. b. % x\nc. % coding=latin-1\n" .. LATIN_1, '"100% coding: latin-1".\n' .. LATIN_1,
  "\n\n%% coding: latin-1\n" .. LATIN_1, "\n%% coding: latin-1\n" .. LATIN_1, "coding: latin-1.\n" .. LATIN_1,
  "%% coding: latin1\n" .. LATIN_1, "%% coding: latin1\n" .. UTF_8, "%% coding: LATIN-1-unix\n" .. LATIN_1,
  "%% coding: -latin-1\n" .. UTF_8, "%% coding:\n%% coding: latin-1\n" .. LATIN_1, "%% coding latin-1\n" .. UTF_8,
  "%% coding\t: latin-1\n" .. UTF_8, "%% coding:\tlatin-1\n" .. UTF_8, "%% coding: big5\n%% coding: latin-1\n" .. UTF_8,
  "%% coding and coding  =  Latin-1\n" .. LATIN_1, "%% cccoding: latin-1\n" .. LATIN_1, "%% Coding: latin-1\n" .. UTF_8,
  "%% coding: latin_1\n" .. UTF_8, "%%\r\n%% coding: latin-1\r\n" .. LATIN_1, LATIN_1, UTF_8,
}
-- epp reads so far and no farther, wherever that cuts.
for length = 480, 515 do
  ENCODED[#ENCODED + 1] = "%" .. (" "):rep(length) .. "coding: latin-1\n" .. LATIN_1
  ENCODED[#ENCODED + 1] = "a.%" .. (" "):rep(length) .. "coding: latin-1"
end

describe("consult, asked together with Erlang", function()
  local folder

  setup(function() folder = run "mktemp -d":gsub("%s+$", "") end)
  teardown(function() os.execute("rm -rf '" .. folder .. "'") end)

  it("takes, refuses and reads the same texts", function()
    assert(os.execute("mkdir " .. folder .. "/syntax"))
    for i, text in ipairs(SYNTAX) do
      local name = ("%s/syntax/%03d"):format(folder, i)
      write(name .. ".in", text .. ".")
      local terms = consult.parse(text .. ".")
      if terms then write(name .. ".out", consult.write(terms)) end
    end
    assert.are.equal("", run(("escript %sconsult/terms.escript verify %s/syntax"):format(here, folder)))
  end)

  it("takes the same encoding for a file", function()
    assert(os.execute("mkdir " .. folder .. "/encoding"))
    for i, text in ipairs(ENCODED) do
      local name = ("%s/encoding/%03d"):format(folder, i)
      write(name .. ".in", text)
      local terms = consult.parse(text)
      if terms then write(name .. ".out", consult.write(terms)) end
    end
    assert.are.equal("", run(("escript %sconsult/terms.escript verify %s/encoding"):format(here, folder)))
  end)

  it("agrees about a term without its full stop", function()
    assert(os.execute("mkdir " .. folder .. "/stop"))
    write(folder .. "/stop/1.in", "a. {b}")
    assert.is_nil(consult.parse "a. {b}")
    assert.are.equal("", run(("escript %sconsult/terms.escript verify %s/stop"):format(here, folder)))
  end)

  it("reads and writes generated terms, in OTP's layout", function()
    local COUNT = 300
    run(("escript %sconsult/terms.escript generate %s %d"):format(here, folder, COUNT))
    for i = 1, COUNT do
      local name = folder .. "/" .. i
      local terms = assert(consult.parse(read(name .. ".in")))
      write(name .. ".out", consult.write(terms))
      local lines = {}
      for j, value in ipairs(terms) do lines[j] = term.format(value) .. "\n" end
      assert.are.equal(read(name .. ".line"), table.concat(lines))
      assert.are.equal(read(name .. ".pretty"), consult.write(terms, ""))
    end
    assert.are.equal("", run(("escript %sconsult/terms.escript verify %s"):format(here, folder)))
  end)
end)

describe("consult.parse", function()
  it("keeps each kind of term", function()
    assert.are.equal("integer", math.type(parse "1"))
    assert.are.equal("float", math.type(parse "1.0"))
    assert.are.equal(true, parse "true")
    assert.are.equal(atom "nil", parse "nil")
    assert.are.equal("text", parse '<<"text">>')
    assert.are.equal("charlist", term.kind(parse '"text"'))
    assert.are.equal("list", term.kind(parse "[a]"))
    assert.are.equal("tuple", term.kind(parse "{a}"))
    assert.are.equal(1, parse "#{a => 1}"[atom "a"])
  end)

  it("gives all terms of a text", function()
    assert.are.same({}, consult.parse "")
    assert.are.same({}, consult.parse "  %% nothing\n")
    assert.are.same({ 1, 2, 3 }, consult.parse "1. 2.\n%c\n3.%d")
  end)

  local ERRORS = {
    { "{a,\n  b,}.", 'line 2, column 5: unexpected "}"' },
    { "{a", "line 1, column 3: unexpected end of the text; a term ends with a full stop" },
    { "ä.\n'ä\u{1F600}', B.", 'line 2, column 5: unexpected ","' },
    { "{1, B}.", "line 1, column 5: B is a variable, not a term" },
    { '["abc].', "line 1, column 2: a quoted text that does not end, or holds an illegal character" },
    { "a.\n\xff.", "line 2, column 1: invalid UTF-8" },
    { ("'%s'."):format(("a"):rep(256)), "line 1, column 1: an atom has at most 255 characters" },
    { ("a.\nb.\n  '%s'."):format(("a"):rep(256)), "line 3, column 3: an atom has at most 255 characters" },
    { "a.\n%% b\n\n  [1, ~].", 'line 4, column 7: unexpected "~"' },
    { "<<1.5>>.", "line 1, column 3: the value does not fit its type" },
    -- A dozen bytes must not ask for half a minute and a hundred megabytes.
    { "<<1,2:999999999>>.", "line 1, column 5: the segment is too long" },
    { "<<1:600000,2:600000>>.", "line 1, column 12: the segment is too long" },
    { "a ]", 'line 1, column 3: unexpected "]"' },
    { "\n{a,-" .. ("9"):rep(10001) .. "}.", "line 2, column 5: an integer of 10001 digits in base 10: write it in base 16" },
    { "[a, 7#" .. ("6"):rep(10001) .. "].", "line 1, column 5: an integer of 10001 digits in base 7: write it in base 16" },
    { "<<1:" .. ("1"):rep(10001) .. ">>.", "line 1, column 5: an integer of 10001 digits in base 10: write it in base 16" },
  }
  for _, case in ipairs(ERRORS) do
    it("says where: " .. case[2], function()
      local terms, message, code = consult.parse(case[1])
      assert.is_nil(terms)
      assert.are.equal("syntax", code)
      assert.are.equal(case[2], message)
    end)
  end

  it("reads latin-1 where a comment in the first two lines says so", function()
    assert.are.equal(atom "ä", consult.parse("%% coding: latin-1\n'\xE4'.")[1])
    assert.are.equal(atom "ä", consult.parse("%% hi\n% -*- coding: Latin-1 -*-\n'\xE4'.")[1])
    assert.are.equal(atom "ä", consult.parse("%% coding: utf-8\n'\xC3\xA4'.")[1])
    assert.is_nil(consult.parse("\n\n%% coding: latin-1\n'\xE4'."))
  end)

  it("takes any depth, and survives any end of it", function()
    local depth = 200000
    for _, marks in ipairs { { "[", "]" }, { "{", "}" }, { "(", ")" } } do
      assert(consult.parse(marks[1]:rep(depth) .. "a" .. marks[2]:rep(depth) .. "."))
      local terms, message = consult.parse(marks[1]:rep(depth))
      assert.is_nil(terms)
      assert.matches("column 200001: unexpected end", message)
    end
    local terms, message = consult.parse(("<<"):rep(depth))
    assert.is_nil(terms)
    assert.matches("nested too deep", message)
  end)

  -- A million decimal digits took a minute and a half, for each digit moved all before it.
  it("takes digits of any number only in bases that are cheap, and reads what is written", function()
    local before = os.clock()
    for _, digits in ipairs { ("9"):rep(1 << 20), "36#" .. ("z"):rep(1 << 20) } do
      local terms, message, code = consult.parse(digits .. ".")
      assert.is_true(terms == nil) -- is_nil would print it
      assert.matches("an integer of %d+ digits in base", message)
      assert.are.equal("syntax", code)
    end
    for _, digits in ipairs { "16#A5" .. ("0"):rep(1 << 20) .. "1", "16#F" .. ("0"):rep(1 << 20) } do
      assert.are.equal(digits .. ".\n", consult.write(assert(consult.parse(digits .. "."))))
    end
    assert.truthy(os.clock() - before < 10 * process.patience)
  end)

  -- 4,000 such keys took nearly four seconds, 20,000 a minute and a half.
  it("takes any number of compound keys", function()
    local COUNT = 20000
    local before = os.clock()
    for _, key in ipairs { "{%d}", "[a|%d]", "#{{b} => %d}", "#{a => [%d]}", '{{["k"],1.5},%d}' } do
      local pairs_of = {}
      for i = 1, COUNT do pairs_of[i] = key:format(i) .. " => " .. i end
      pairs_of[COUNT + 1] = key:format(COUNT) .. " => last"
      local made = assert(consult.parse("#{" .. table.concat(pairs_of, ",") .. "}."))[1]
      assert.are.equal(COUNT, #made)
      assert.are.equal(7, made[parse(key:format(7))])
      assert.are.equal(atom "last", made[parse(key:format(COUNT))])
      assert.is_nil(made[parse(key:format(0))])
    end
    assert.truthy(os.clock() - before < 20 * process.patience)
  end)

  -- Two equal keys that are nested so deep raised.
  it("takes keys of any depth that it could write", function()
    for _, marks in ipairs { { "[", "]" }, { "{", "}" }, { "#{", "=>1}" }, { "#{a=>", "}" }, { "{#{", "=>1}}" } } do
      local function texts(depth)
        local key = marks[1]:rep(depth) .. "a" .. marks[2]:rep(depth)
        return ("#{%s=>1,%s=>2}."):format(key, key), ("[#{%s=>1},{b}]."):format(key)
      end
      local before = os.clock()
      local twice, once = texts(5000)
      assert.are.equal(1, #assert(consult.parse(twice))[1])
      assert(consult.parse(once))
      for _, text in ipairs { texts(10001) } do
        local terms, message, code = consult.parse(text)
        assert.is_true(terms == nil)
        assert.matches("line 1, column %d+: a key of a map is nested deeper than 10000", message)
        assert.are.equal("syntax", code)
      end
      assert.truthy(os.clock() - before < 10 * process.patience)
    end
    assert(consult.parse(("#{a=>"):rep(200000) .. "1" .. ("}"):rep(200000) .. "."))
  end)

  it("never raises, wherever a text is cut or changed", function()
    local text = [[{"1.0",[{a,'b c',<<"x",1:4>>},#{$a => 16#ff, "s" => [1.5e3|x]}],fun m:f/1}. %% c]]
    for i = 0, #text do
      local terms, message, code = consult.parse(text:sub(1, i))
      assert.is_true(terms ~= nil or type(message) == "string" and code == "syntax")
      for _, junk in ipairs { "\0", "'", '"', "<<", "$", "#", "\\", "\xC2" } do
        terms, message = consult.parse(text:sub(1, i) .. junk .. text:sub(i + 1))
        assert.is_true(terms ~= nil or type(message) == "string")
      end
    end
  end)
end)

describe("consult.write", function()
  it("begins each instruction of a relup on a line of its own", function()
    local module = atom "Elixir.MyApp.Some.Rather.Long.Module"
    local purges = tuple { module, atom "brutal_purge", atom "soft_purge" }
    local script = list {
      atom "point_of_no_return", tuple { atom "load", purges }, tuple { atom "suspend", list { module } },
    }
    local relup = tuple { charlist "2.0", list { tuple { charlist "1.0", list {}, script } }, list {} }
    assert.are.equal([[
{"2.0",
 [{"1.0",[],
   [point_of_no_return,
    {load,{'Elixir.MyApp.Some.Rather.Long.Module',brutal_purge,soft_purge}},
    {suspend,['Elixir.MyApp.Some.Rather.Long.Module']}]}],
 []}.
]], consult.write { relup })
  end)

  it("names the encoding only where it matters", function()
    assert.are.equal("a.\n", consult.write { atom "a" })
    assert.are.equal("%% coding: utf-8\n\"ä\".\n", consult.write { charlist "ä" })
    assert.are.equal("%% mine\na.\n", consult.write({ atom "a" }, "%% mine\n"))
  end)

  it("raises for what no text spells", function()
    local pid = term.types.new_opaque("pid", "\88\119\1a" .. string.pack(">I4I4I4", 83, 0, 1))
    for _, value in ipairs { pid, print, setmetatable({}, {}), 0 / 0, math.huge } do
      assert.has_error(function() consult.write { tuple { value } } end)
    end
    assert.has_error(function() consult.write { pid } end,
      "<0.83.0> cannot be written: there is no text that reads back as a pid")
    assert.has_error(function() consult.write { list { atom "a\u{FFFF}" } } end,
      "an atom with U+FFFE or U+FFFF cannot be written: Erlang reads no text with these characters")
    local deep = list {}
    for _ = 1, 20000 do deep = list { deep } end
    assert.has_error(function() consult.write { deep } end, "terms are nested deeper than 10000")
  end)

  it("writes plain tables as lists, and maps in their order", function()
    local terms = { { atom "a", { "b" } }, map { atom "b", 1, atom "a", 2 } }
    assert.are.equal("[a,[<<\"b\">>]].\n#{b => 1,a => 2}.\n", consult.write(terms))
  end)
end)
