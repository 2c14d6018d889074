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

  it("that are compressed are refused: no node sends them", function()
    local compressed = process.output([[erl -noshell -boot start_clean -eval '
      io:put_chars(binary:encode_hex(term_to_binary(lists:duplicate(1000, a), [compressed]))), halt().']])
    local bytes = compressed:gsub("%x%x", function(pair) return string.char(tonumber(pair, 16)) end)
    assert.equal("\131P", bytes:sub(1, 2))
    local value, message, code = core.decode(bytes)
    assert.is_nil(value)
    assert.equal("protocol", code)
    assert.truthy(message:find "compressed", message)
  end)
end)
