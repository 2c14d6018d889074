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
