local process = require "support.process"
local term = require "edeliver.relup.term"

local here = debug.getinfo(1, "S").source:match "^@(.*)term_spec.lua$"
local atom, tuple, list, charlist, map = term.atom, term.tuple, term.list, term.charlist, term.map

local function printed(what)
  local pipe <close> = assert(io.popen(("LC_ALL=C.UTF-8 escript %sterm/print.escript %s"):format(here, what)))
  local lines = {}
  for line in pipe:lines() do
    local hex, text = line:match "^(%x+) (.*)$"
    lines[#lines + 1] = { hex:gsub("%x%x", function(pair) return string.char(tonumber(pair, 16)) end), text }
  end
  return lines
end

describe("term", function()
  describe("atoms", function()
    it("are interned, and true and false are booleans", function()
      assert.are.equal(atom "ok", atom "ok")
      assert.are_not.equal(atom "ok", atom "error")
      assert.is_true(atom "true")
      assert.is_false(atom "false")
      assert.are.equal("nil", atom "nil".name)
    end)

    it("stay the same objects for as long as somebody holds them, and no longer", function()
      local held = atom "held_by_the_spec"
      atom "held_by_nobody"
      collectgarbage()
      collectgarbage()
      assert.are.equal(held, atom "held_by_the_spec")
      assert.is_nil(rawget(term.types.atoms, "held_by_nobody"))
    end)

    it("refuse what no atom can be", function()
      assert.has_error(function() atom(("a"):rep(256)) end, "the name of an atom has at most 255 characters")
      assert.has_error(function() atom "\xff" end, "the name of an atom must be valid UTF-8")
      assert.has_error(function() atom(1) end, "the name of an atom is a string, got number")
      assert.are.equal(255, utf8.len(atom(("ä"):rep(255)).name))
    end)
  end)

  describe("tuples and lists", function()
    it("are sequences", function()
      local pair = tuple { atom "ok", 42 }
      assert.are.equal(2, #pair)
      assert.are.equal(42, pair[2])
      assert.is_nil(pair[3])
    end)

    it("refuse what is no sequence", function()
      assert.has_error(function() tuple(1) end)
      assert.has_error(function() tuple { a = 1 } end)
      assert.has_error(function() list { 1, nil, 3 } end)
      assert.has_error(function() list(tuple {}) end)
    end)

    it("keep an improper tail, and join a proper one", function()
      assert.are.equal(2, list({ 1 }, 2).tail)
      assert.are.equal(list { 1, 2, 3 }, list({ 1 }, list { 2, 3 }))
      assert.are.equal("[1,2|3]", term.format(list({ 1 }, list({ 2 }, 3))))
      assert.are.equal(list { 1, 97 }, list({ 1 }, charlist "a"))
      assert.has_error(function() list({}, 1) end)
    end)
  end)

  describe("charlists", function()
    it("read as the list of their code points", function()
      local text = charlist "aä\u{1F600}"
      assert.are.equal(3, #text)
      assert.are.same({ 97, 228, 0x1F600 }, { text[1], text[2], text[3] })
      assert.is_nil(text[4])
      assert.is_nil(text[0])
      assert.is_nil(charlist "a"[2])
      local codes = {}
      for i, code in ipairs(text) do codes[i] = code end
      assert.are.same({ 97, 228, 0x1F600 }, codes)
    end)

    it("refuse what is no text", function()
      assert.has_error(function() charlist "\xff" end)
      assert.has_error(function() charlist(1) end)
    end)
  end)

  describe("maps", function()
    local m = map { atom "a", 1, 1, "one", 1.0, "float", tuple { 1 }, "tuple", charlist "k", "text", "get", 7 }

    it("look keys up as =:= does", function()
      assert.are.equal(1, m[atom "a"])
      assert.are.equal("one", m[1])
      assert.are.equal("float", m[1.0])
      assert.are.equal("tuple", m[tuple { 1 }])
      assert.is_nil(m[tuple { 1.0 }])
      assert.are.equal("text", m[list { 107 }])
      assert.is_nil(m["a"])
      assert.are.equal(7, m["get"])
      assert.are.equal(5, map {}:get("x", 5))
      assert.are.equal(1, map { atom "x", 1 }:get(atom "x", 5))
      assert.is_nil(term.map_get(map {}, "get"))
    end)

    it("find compound keys, too", function()
      local nested = map { tuple { 1, 2.5 }, charlist "v", "b", map {}, list { 1, 2 }, false }
      local KEYS = {
        tuple {}, {}, tuple { {} }, map {}, { map {} }, tuple { 1 }, tuple { 1.0 }, tuple { "1" }, tuple { atom "1" }, { 1 },
        { 1.0 }, { "1" }, { true }, { atom "a", "b" }, { "a", atom "b" }, { { 1 }, 2 }, { { 1, 2 } }, list({ 1 }, 2),
        list({ 1 }, tuple { 2 }), charlist "kä", { charlist "k" }, { charlist "k", {} }, nested, tuple { nested },
        map { 1, 2 }, map { 1.0, 2 }, map { 2, 1 }, map { 1, 2, 3, 4 }, map { 1, 4, 3, 2 }, map { map { 1, 2 }, 3 },
        map { 3, map { 1, 2 } }, { term.integer "99999999999999999999" }, tuple { "a", "b" }, tuple { "ab" }, tuple { "a,b" },
        tuple { atom "ok", -1 },
      }
      local entries = {}
      for i, key in ipairs(KEYS) do table.move({ key, i }, 1, 2, #entries + 1, entries) end
      local made = map(entries)
      assert.are.equal(#KEYS, #made)
      for i, key in ipairs(KEYS) do assert.are.equal(i, term.map_get(made, key)) end
      -- Other tables that are the same terms.
      local position = {}
      for i, key in ipairs(KEYS) do position[key] = i end
      assert.are.equal(position[nested],
        made[map { "b", map {}, list { 1, 2 }, false, tuple { 1, 2.5 }, { 118 } }])
      assert.are.equal(position[KEYS[20]], made[{ 107, 228 }])
      assert.are.equal(28, made[map { 3, 4, 1, 2 }])
      assert.are.equal(1, made[tuple {}])
      assert.are.equal(2, made[charlist ""])
      for _, missing in ipairs { tuple { 2 }, { 107 }, map { 5, 6 }, tuple { 0.0 }, setmetatable({}, {}), { print } } do
        assert.is_nil(term.map_get(made, missing))
      end
      assert.are.equal(1, map { tuple { 0.0 }, 1 }[tuple { -0.0 }]) -- as ours is =:=, and that of Erlang before OTP 27
    end)

    it("count and give their pairs in order", function()
      assert.are.equal(6, #m)
      local values = {}
      for _, value in pairs(m) do values[#values + 1] = value end
      assert.are.same({ 1, "one", "float", "tuple", "text", 7 }, values)
    end)

    it("take the last of equal keys, and false as a value", function()
      assert.are.equal(map { 1, "b" }, map { 1, "a", 1, "b" })
      assert.are.equal(map { list { 1 }, "b" }, map { { 1 }, "a", { 1 }, "b" })
      assert.is_false(map { atom "a", false }[atom "a"])
    end)

    it("cannot be changed, and want pairs", function()
      assert.has_error(function() m[atom "b"] = 1 end)
      assert.has_error(function() map { 1 } end, "a map needs a value for each key")
    end)
  end)

  it("equal is Erlang's =:=", function()
    local EQUAL = {
      { 1, 1 }, { 1.5, 1.5 }, { "a", "a" }, { atom "a", atom "a" }, { tuple { 1, { 2 } }, tuple { 1, list { 2 } } },
      { charlist "", list {} }, { charlist "ab", { 97, 98 } }, { { 97 }, charlist "a" }, { list({ 1 }, 2), list({ 1 }, 2) },
      { map { 1, 2, 3, 4 }, map { 3, 4, 1, 2 } }, { term.integer "99999999999999999999", term.integer "99999999999999999999" },
      { map { charlist "a", 1 }, map { { 97 }, 1 } }, { true, atom "true" },
    }
    local DIFFERENT = {
      { 1, 1.0 }, { "a", atom "a" }, { "a", charlist "a" }, { tuple { 1 }, list { 1 } }, { tuple { 1 }, tuple { 1, 2 } },
      { list { 1 }, list({ 1 }, 2) }, { list({ 1 }, 3), list({ 1 }, 2) }, { map { 1, 2 }, map { 1, 3 } },
      { map { 1, 2 }, map { 1.0, 2 } },
      { map { 1, 2 }, map { 1, 2, 3, 4 } }, { charlist "a", list({ 97 }, 98) }, { true, false },
      { tuple {}, list {} }, { "", list {} },
      { tuple { 1 }, tuple { 1.0 } }, { charlist "a", charlist "b" }, { atom "nil", list {} },
    }
    for _, pair in ipairs(EQUAL) do
      assert.is_true(term.equal(pair[1], pair[2]), term.format(pair[1]))
      assert.is_true(term.equal(pair[2], pair[1]))
    end
    for _, pair in ipairs(DIFFERENT) do
      assert.is_false(term.equal(pair[1], pair[2]), term.format(pair[1]))
      assert.is_false(term.equal(pair[2], pair[1]))
    end
  end)

  describe("integers", function()
    it("stay Lua's where 64 bits hold them", function()
      assert.are.equal(math.maxinteger, term.integer "9223372036854775807")
      assert.are.equal(math.mininteger, term.integer "-9223372036854775808")
      assert.are.equal(7, term.integer "+0007")
      assert.are.equal("bignum", term.kind(term.integer "9223372036854775808"))
      assert.are.equal("-9223372036854775809", tostring(term.integer "-9223372036854775809"))
      assert.has_error(function() term.integer "12a" end)
    end)

    it("print as they were read, whatever their size", function()
      local digits = ("1234567890"):rep(200)
      assert.are.equal(digits, tostring(term.integer(digits)))
      assert.are.equal("-" .. digits, tostring(term.integer("-" .. digits)))
    end)

    local function big(bytes, sign)
      return term.types.new_opaque("bignum", "\111" .. string.pack(">I4", #bytes) .. sign .. bytes)
    end

    it("print in hexadecimal where they have more than 1 KiB", function()
      assert.matches("^%d+$", term.format(big(("\255"):rep(1024), "\0")))
      assert.are.equal("16#" .. ("F"):rep(2050), term.format(big(("\255"):rep(1025), "\0")))
      assert.are.equal("-16#10A" .. ("0"):rep(2048), term.format(big(("\0"):rep(1024) .. "\10\1", "\1")))
      assert.are.equal("-16#1" .. ("0"):rep(4000), term.format(big(("\0"):rep(2000) .. "\1\0\0", "\1")))
    end)

    -- This took nine minutes; half a minute for the reason of `1 bsl 800000` that a call ended with.
    it("of a megabyte print in no time", function()
      local before = os.clock()
      local text = term.format(big(("\171"):rep(1 << 20), "\0"))
      assert.truthy(os.clock() - before < 5 * process.patience)
      assert.are.equal("16#" .. ("AB"):rep(1 << 20), text)
    end)
  end)

  it("text gives the text of atoms, binaries, charlists and iolists", function()
    assert.are.equal("a", term.text(atom "a"))
    assert.are.equal("true", term.text(true))
    assert.are.equal("a", term.text "a")
    assert.are.equal("ä", term.text(charlist "ä"))
    assert.are.equal("hä!", term.text { 104, { "ä", { 33 } } })
    for _, value in ipairs { 1, 1.5, tuple {}, { -1 }, { 0x110000 }, { atom "a" }, list({ 97 }, 98), map {} } do
      assert.is_nil(term.text(value))
    end
    assert.is_nil(term.text(nil))
  end)

  describe("format prints as the shell:", function()
    it("pids, references, ports, funs and big integers", function()
      local KINDS = {
        [88] = "pid", [90] = "ref", [89] = "port", [120] = "port", [112] = "fun", [113] = "export", [110] = "bignum",
        [111] = "bignum", [77] = "bitstring",
      }
      local lines = printed "opaque"
      assert.is_true(#lines > 10)
      for _, line in ipairs(lines) do
        local bytes, text = line[1], line[2]
        assert.are.equal(text, tostring(term.types.new_opaque(KINDS[bytes:byte()], bytes)))
      end
    end)

    it("floats, in the fewest digits", function()
      local lines = printed "floats"
      assert.is_true(#lines > 9000)
      for _, line in ipairs(lines) do
        local value = string.unpack(">d", line[1])
        assert.are.equal(line[2], term.format(value))
      end
      assert.are.equal("-0.0", term.format(-0.0))
    end)

    it("text from a node with its control characters escaped", function()
      assert.are.equal([['\e[31m\001\r\n']], term.format(atom "\27[31m\1\r\n"))
      assert.are.equal([["\e[31m"]], term.format(charlist "\27[31m"))
      assert.are.equal([[<<"\e]0;x">>]], term.format "\27]0;x")
      assert.are.equal("<<27,7>>", term.format "\27\7")
      assert.are.equal([['\233']], term.format(atom "\u{9B}"))
    end)

    it("wider text where asked", function()
      assert.are.equal("[1078]", term.format(charlist "ж"))
      assert.are.equal('"ж"', term.format(charlist "ж", { unicode = true }))
      assert.are.equal('<<"ж"/utf8>>', term.format("ж", { unicode = true }))
    end)

    it("however deep, with dots for what lies too deep", function()
      local deep = list {}
      for _ = 1, 50000 do deep = list { deep } end
      assert.matches("^%[+%.%.%.%]+$", term.format(deep))
    end)

    it("and nothing that is no term", function()
      assert.has_error(function() term.format(print) end, "a function is no term")
      assert.has_error(function() term.format(nil) end)
    end)
  end)
end)
