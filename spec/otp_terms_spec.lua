-- Terms that Erlang makes by chance, in every form that term_to_binary has: each is decoded, prints as Erlang prints it, and
-- encodes to what Erlang reads as the same term. EDR_TERMS is how many (5,000).

local core = require "edeliver.relup.core"
local process = require "support.process"
local term = require "edeliver.relup.term"

core.set_types(term.types)

local count = tonumber(os.getenv "EDR_TERMS" or 5000)
local script = process.quote(process.root .. "/spec/c/etf_terms.escript")

describe("terms of Erlang", function()
  local folder

  setup(function() folder = process.temporary_folder() end)
  teardown(function() process.remove_folder(folder) end)

  local function escript(arguments, ...)
    local text, good = process.output(("LC_ALL=C.UTF-8 escript %s %s 2>&1"):format(script, arguments:format(...)))
    assert.is_true(good, text)
    return text
  end

  it("decode, print as Erlang prints them, and encode to the same", function()
    escript("write %d %s/terms", count, folder)
    local file <close> = assert(io.open(folder .. "/terms", "rb"))
    local back <close> = assert(io.open(folder .. "/back", "wb"))
    local function piece()
      local head = file:read(4)
      return head and file:read((string.unpack(">I4", head))) or ""
    end
    local seen = 0
    while true do
      local bytes = piece()
      if bytes == "" then break end
      local text = piece()
      local value, message = core.decode(bytes)
      assert(value ~= nil, message)
      local printed = term.format(value)
      if text ~= "" and printed ~= text then assert.equal(text:sub(1, 3000), printed:sub(1, 3000)) end
      back:write(string.pack(">s4", core.encode(value)))
      seen = seen + 1
    end
    assert.equal(count, seen)
    back:close()
    assert.equal(count .. " terms came back the same\n", escript("check %s/terms %s/back", folder, folder))
  end)

  -- What OTP refuses, we refuse; where we are stricter, on purpose, is said (docs/robustness.md).
  describe("are refused where OTP refuses them:", function()
    local STRICTER = { "a fun whose size is not that of its bytes", "a node name with a zero byte",
      "another term where a small integer is expected", "another term where a pid is expected", "an unknown tag" }

    local function hex(bytes)
      return (bytes:gsub(".", function(c) return ("%02x"):format(c:byte()) end))
    end

    local function is_stricter(message)
      for _, reason in ipairs(STRICTER) do
        if message:find(reason, 1, true) then return true end
      end
      return false
    end

    -- `vectors` are external terms, right or wrong, without the version byte.
    local function agree_with_otp(vectors)
      local file <close> = assert(io.open(folder .. "/vectors", "w"))
      for i, bytes in ipairs(vectors) do vectors[i] = "\131" .. bytes end
      for _, bytes in ipairs(vectors) do file:write(hex(bytes), "\n") end
      file:flush()
      local verdicts = escript("judge %s/vectors", folder)
      assert.equal(#vectors, #verdicts)
      local accepted = 0
      for i, bytes in ipairs(vectors) do
        local value, message = core.decode(bytes)
        local theirs = verdicts:byte(i) == ("1"):byte()
        if theirs then accepted = accepted + 1 end
        if theirs ~= (value ~= nil) and not (theirs and is_stricter(message)) then
          assert.equal(theirs and "taken by OTP" or "refused by OTP",
            ("%s, %s"):format(hex(bytes), value ~= nil and "taken" or "refused: " .. message))
        end
      end
      assert.truthy(accepted > 0 and accepted < #vectors, accepted)
    end

    local function u16(number) return string.pack(">I2", number) end
    local function u32(number) return string.pack(">I4", number) end
    local NODE = "w\6n@host"
    local WORDS = { 0, 1, 0x7fff, 0x8000, 0x3ffff, 0x40000, 0xfffffff, 0x10000000, 0xffffffff }
    local OLD, NEW = { 0, 1, 3, 4, 5, 255 }, { 0, 3, 4, 255, 0xffffffff }

    it("pids, ports and references, old and new", function()
      local vectors = {}
      local function add(...) vectors[#vectors + 1] = table.concat { ... } end
      local function references(tag, creation, word)
        for size = 0, 6 do
          add(tag, u16(size), NODE, creation, u32(word):rep(size))
          if size > 1 then add(tag, u16(size), NODE, creation, u32(word), u32(0):rep(size - 1)) end
          if size > 1 then add(tag, u16(size), NODE, creation, u32(1), u32(word):rep(size - 1)) end
        end
      end
      for _, word in ipairs(WORDS) do
        for _, creation in ipairs(OLD) do
          local byte = string.char(creation)
          add("f", NODE, u32(word), byte)
          add("e", NODE, u32(word), byte)
          references("r", byte, word)
          for _, serial in ipairs(WORDS) do add("g", NODE, u32(word), u32(serial), byte) end
        end
        for _, creation in ipairs(NEW) do
          add("Y", NODE, u32(word), u32(creation))
          references("Z", u32(creation), word)
          for _, other in ipairs(WORDS) do
            add("X", NODE, u32(word), u32(other), u32(creation))
            add("x", NODE, u32(word), u32(other), u32(creation))
          end
        end
      end
      agree_with_otp(vectors)
    end)

    local PID = "X" .. NODE .. u32(1) .. u32(2) .. u32(3)

    it("funs, by their form and their free variables", function()
      local vectors = {}
      for _, free in ipairs { 0, 1, 2, 254, 255, 256, 257, 1000 } do
        local body = "\1" .. ("\0"):rep(16) .. u32(0) .. u32(free) .. "w\1ma\0a\0" .. PID .. ("j"):rep(free)
        table.insert(vectors, "p" .. u32(#body + 4) .. body)
        table.insert(vectors, "u" .. u32(free) .. PID .. "w\1ma\0a\0" .. ("j"):rep(free))
      end
      agree_with_otp(vectors)
    end)

    it("maps with a key twice, in whatever two forms", function()
      -- 0.0 and -0.0 are one key up to OTP 26, and two from 27 on: they are not asked for.
      local keys = { "a\1", "b\0\0\0\1", "n\1\0\1", "o\0\0\0\1\0\1", "F\63\240\0\0\0\0\0\0",
        "c1.00000000000000000000e+00\0\0\0\0\0", "w\1a", "d\0\1a", "s\1a", "v\0\1a", "w\2\195\169", "d\0\1\233",
        "j", "k\0\0", "k\0\1\1", "l\0\0\0\1a\1j", "l\0\0\0\0k\0\1\1", "k\0\2\1\2", "l\0\0\0\2a\1a\2j",
        "l\0\0\0\1a\1l\0\0\0\1a\2j", "l\0\0\0\1a\1k\0\1\2", "l\0\0\0\1a\1a\2",
        "m\0\0\0\1x", "M\0\0\0\1\8x", "M\0\0\0\1\4\240", "M\0\0\0\1\4\255",
        "m\0\0\0\20" .. ("x"):rep(20), "M\0\0\0\20\8" .. ("x"):rep(20),
        "h\1a\1", "i\0\0\0\1a\1", "h\1b\0\0\0\1", "h\0", "i\0\0\0\0", "h\1k\0\1\1", "h\1l\0\0\0\1a\1j",
        "t\0\0\0\0", "t\0\0\0\2a\1a\1a\2a\2", "t\0\0\0\2a\2a\2a\1a\1", "t\0\0\0\2a\2a\1a\1a\2",
        "t\0\0\0\1w\1kk\0\1\1", "t\0\0\0\1w\1kl\0\0\0\1a\1j", "n\8\0" .. ("\255"):rep(8),
        "o\0\0\0\8\0" .. ("\255"):rep(8), "n\9\0" .. ("\255"):rep(8) .. "\0", "a\0", "n\0\0", "n\0\1",
        PID, "g" .. NODE .. u32(1) .. u32(2) .. "\3", "X" .. NODE .. u32(1) .. u32(2) .. u32(4),
        "e" .. NODE .. u32(7) .. "\3", "r\0\1" .. NODE .. "\3" .. u32(7), "Z\0\1" .. NODE .. u32(3) .. u32(7),
        "qw\1mw\1fa\1", "qd\0\1ms\1fb\0\0\0\1" }
      local vectors = {}
      for _, one in ipairs(keys) do
        for _, other in ipairs(keys) do
          local map = "t" .. u32(2) .. one .. "j" .. other .. "j"
          table.insert(vectors, map)
          table.insert(vectors, "h\2t" .. u32(1) .. "h\1" .. map .. "j" .. "a\1")
        end
      end
      for _, size in ipairs { 8, 9, 32, 33, 100 } do
        local entries = {}
        for i = 1, size do entries[i] = "b" .. u32(i) .. "j" end
        table.insert(vectors, "t" .. u32(size) .. table.concat(entries))
        table.insert(vectors, "t" .. u32(size + 1) .. table.concat(entries) .. "a\2j")
      end
      agree_with_otp(vectors)
    end)

    it("terms that chance has changed", function()
      math.randomseed(7)
      escript("write 1500 %s/terms", folder)
      local file <close> = assert(io.open(folder .. "/terms", "rb"))
      local terms, vectors = {}, {}
      while true do
        local head = file:read(4)
        if not head then break end
        -- Of a node that judges its own identifiers in another way than those of others.
        local bytes = file:read((string.unpack(">I4", head))):gsub("nonode@nohost", "others@nohost")
        if #bytes < 300 then terms[#terms + 1] = bytes end
        file:read((string.unpack(">I4", file:read(4))))
      end
      while #vectors < 10000 do
        local bytes = { terms[math.random(#terms)]:byte(2, -1) }
        for _ = 1, math.random(3) do
          local at, value = math.random(#bytes), math.random(2) == 1 and math.random(0, 255) or math.random(70, 121)
          if math.random(2) == 1 then bytes[at] = value else table.insert(bytes, at, value) end
        end
        vectors[#vectors + 1] = string.char(table.unpack(bytes))
      end
      agree_with_otp(vectors)
    end)
  end)

  it("say how many bytes follow them", function()
    assert.equal(1, (core.decode "\131a\1"))
    local value, message, code = core.decode "\131a\1a\2"
    assert.same({ nil, "2 bytes follow the term", "protocol" }, { value, message, code })
    assert.equal("1 byte follows the term", (select(2, core.decode "\131jj")))
  end)

  describe("that are compressed", function()
    local function compressed(size)
      local digits = process.output(([[erl -noshell -boot start_clean -eval '
        io:put_chars(binary:encode_hex(term_to_binary(lists:duplicate(%d, a), [compressed]))), halt().']]):format(size))
      return (digits:gsub("%x%x", function(pair) return string.char(tonumber(pair, 16)) end))
    end

    it("decode like others", function()
      local bytes = compressed(1000)
      assert.equal("\131P", bytes:sub(1, 2))
      local value = assert(core.decode(bytes))
      assert.equal(1000, #value)
      assert.equal(term.atom "a", value[1000])
    end)

    it("are refused where they are cut short, say another size, or hold another one", function()
      local bytes = compressed(1000)
      local function refused(text, code, problem)
        local value, message, got = core.decode(text)
        assert.is_nil(value)
        assert.equal(code, got)
        assert.truthy(message:find(problem, 1, true), message)
      end
      for size = 2, #bytes - 1 do assert.is_nil((core.decode(bytes:sub(1, size)))) end
      refused(bytes:sub(1, 20), "protocol", "cut short")
      refused(bytes:sub(1, 2) .. "\255\255\255\255" .. bytes:sub(7), "limit", "too many bytes")
      refused(bytes:sub(1, 2) .. "\0\0\0\5" .. bytes:sub(7), "limit", "more than")
      refused(bytes:sub(1, 2) .. "\0\1\0\0" .. bytes:sub(7), "protocol", "another size")
      refused(bytes .. "x", "protocol", "follow")
      refused("\131h\1" .. bytes:sub(2), "protocol", "compressed")
    end)
  end)
end)
