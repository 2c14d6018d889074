--- Binary literals: `<<"text">>`, `<<1,2:4>>`, `<<"text"/utf8>>`, and the rest of Erlang's bit syntax.
--
-- Segments are written bit by bit where they must be, byte by byte where they can.

local lpeg = require "lpeg"
local term = require "edeliver.relup.term"
local opaque = require "edeliver.relup.term.opaque"
local scanner = require "edeliver.relup.consult.scanner"
local reader = require "edeliver.relup.consult.reader"

local binary = {}

local match, token = lpeg.match, scanner.token
local ATOM, NUMBER, STRING, PUNCTUATION = scanner.ATOM, scanner.NUMBER, scanner.STRING, scanner.PUNCTUATION

local MAX_DEPTH = 100 -- of binaries within binaries
local MAX_WIDE = 1 << 20 -- bits of all numbers in a binary that are wider than any machine's: a few digits ask for them

local TYPES = {
  integer = "integer", float = "float", binary = "binary", bytes = "binary", bitstring = "bits", bits = "bits",
  utf8 = "utf8", utf16 = "utf16", utf32 = "utf32",
}
local SIGNS = { signed = true, unsigned = true }
local ENDIANS = { big = "big", little = "little", native = string.pack("=I2", 1) == "\1\0" and "little" or "big" }

-- Bits ---------------------------------------------------------------------------------------------------------------

-- `pending` holds the `count` bits that do not fill a byte yet.
local function put(out, value, bits)
  local all, count = out.pending << bits | (value & (1 << bits) - 1), out.count + bits
  if count >= 8 then
    count = count - 8
    out[#out + 1] = string.char(all >> count & 0xFF)
  end
  out.pending, out.count = all & (1 << count) - 1, count
end

local function put_bytes(out, bytes)
  if out.count == 0 then
    out[#out + 1] = bytes
  else
    for i = 1, #bytes do put(out, bytes:byte(i), 8) end
  end
end

-- Two's complement of an integer in `size` bytes, lowest first.
local function little_bytes(value, size)
  if math.type(value) == "integer" then
    local low = string.pack("<i8", value)
    return size <= 8 and low:sub(1, size) or low .. (value < 0 and "\255" or "\0"):rep(size - 8)
  end
  local etf = value.etf
  local sign_at = etf:byte(1) == 110 and 3 or 6
  local negative, magnitude = etf:byte(sign_at) == 1, etf:sub(sign_at + 1)
  magnitude = (magnitude .. ("\0"):rep(size - #magnitude)):sub(1, size)
  if not negative then return magnitude end
  local carry = 1
  return (magnitude:gsub(".", function(char)
    local byte = (~char:byte() & 0xFF) + carry
    carry = byte >> 8
    return string.char(byte & 0xFF)
  end))
end

local function put_integer(out, value, bits, endian)
  if bits == 8 and out.count == 0 and math.type(value) == "integer" then
    out[#out + 1] = string.char(value & 0xFF)
    return
  end
  local whole, rest = bits // 8, bits % 8
  local bytes = little_bytes(value, whole + (rest > 0 and 1 or 0))
  if endian == "little" then
    put_bytes(out, bytes:sub(1, whole))
    if rest > 0 then put(out, bytes:byte(whole + 1), rest) end
  else
    if rest > 0 then put(out, bytes:byte(whole + 1), rest) end
    put_bytes(out, bytes:sub(1, whole):reverse())
  end
end

-- The nearest float of 16 bits, ties to even, as a Lua integer.
local function half_float(value)
  local sign = (value < 0 or 1 / value < 0) and 0x8000 or 0
  local size = math.abs(value)
  local exponent = -14
  while size >= 2.0 ^ (exponent + 1) and exponent < 16 do exponent = exponent + 1 end
  local steps = size / 2.0 ^ (exponent - 10)
  local low = math.floor(steps)
  local over = steps - low
  if over > 0.5 or (over == 0.5 and low % 2 == 1) then low = low + 1 end
  local packed = low < 1024 and low or ((exponent + 15) << 10) + low - 1024
  return packed < 0x7C00 and sign | packed or nil
end

local function put_float(out, value, bits, endian, at)
  if type(value) ~= "number" then reader.fail(at, "a float is made of a number of 64 bits") end
  local bytes
  if bits == 64 then
    bytes = string.pack(">d", value)
  elseif bits == 32 then
    bytes = string.pack(">f", value)
    if bytes:sub(2) == "\x80\0\0" and bytes:byte(1) & 0x7F == 0x7F then bytes = nil end
  elseif bits == 16 then
    local half = half_float(value + 0.0)
    bytes = half and string.pack(">I2", half)
  else
    reader.fail(at, "a float has 16, 32 or 64 bits")
  end
  if not bytes then reader.fail(at, "the float is too big for its segment") end
  put_bytes(out, endian == "little" and bytes:reverse() or bytes)
end

local function put_code(out, code, spec, at)
  if math.type(code) ~= "integer" or code < 0 or code > 0x10FFFF or (code >= 0xD800 and code <= 0xDFFF) then
    reader.fail(at, "no Unicode character")
  end
  local mark = spec.endian == "little" and "<" or ">"
  if spec.type == "utf8" then
    put_bytes(out, utf8.char(code))
  elseif spec.type == "utf32" then
    put_bytes(out, string.pack(mark .. "I4", code))
  elseif code < 0x10000 then
    put_bytes(out, string.pack(mark .. "I2", code))
  else
    code = code - 0x10000
    put_bytes(out, string.pack(mark .. "I2" .. mark .. "I2", 0xD800 + (code >> 10), 0xDC00 + (code & 0x3FF)))
  end
end

local function put_bits(out, value, spec, at)
  local bytes, last = value, 8
  if type(value) ~= "string" then
    if term.kind(value) ~= "bitstring" then reader.fail(at, "a binary segment is made of a binary") end
    bytes, last = opaque.bitstring_parts(value.etf)
  end
  local total = #bytes == 0 and 0 or (#bytes - 1) * 8 + last
  local unit = spec.unit or (spec.type == "binary" and 8 or 1)
  local bits = spec.size and spec.size * unit or total
  if bits > total or (not spec.size and total % unit ~= 0) then reader.fail(at, "the binary has not so many bits") end
  put_bytes(out, bytes:sub(1, bits // 8))
  if bits % 8 > 0 then put(out, bytes:byte(bits // 8 + 1) >> (8 - bits % 8), bits % 8) end
end

-- Segments -----------------------------------------------------------------------------------------------------------

-- `:Size` and `/type-sign-endian-unit:N` behind a value.
local function read_spec(text, at)
  local spec = { type = "integer", endian = "big" }
  local kind, mark, next_at = match(token, text, at)
  if kind == PUNCTUATION and mark == ":" then
    if not match(lpeg.P(scanner.skip) * lpeg.S "(0123456789$", text, next_at) then reader.unexpected(text, next_at) end
    spec.size, at = reader.signed(text, next_at)
    if math.type(spec.size) ~= "integer" or spec.size < 0 then reader.fail(next_at, "no size of a segment") end
    kind, mark, next_at = match(token, text, at)
  end
  if kind ~= PUNCTUATION or mark ~= "/" then return spec, at end
  repeat
    local word_at = next_at
    local word_kind, word
    word_kind, word, at = match(token, text, word_at)
    if word_kind ~= ATOM then reader.unexpected(text, word_at) end
    if word == "unit" then
      local _
      _, spec.unit, at = match(token, text, reader.expect(text, at, ":"))
      if math.type(spec.unit) ~= "integer" or spec.unit < 1 or spec.unit > 256 then reader.fail(word_at, "no unit") end
    elseif TYPES[word] then
      spec.type = TYPES[word]
    elseif ENDIANS[word] then
      spec.endian = ENDIANS[word]
    elseif not SIGNS[word] then
      reader.unexpected(text, word_at)
    end
    kind, mark, next_at = match(token, text, at)
  until kind ~= PUNCTUATION or mark ~= "-"
  return spec, at
end

local function put_number(out, value, spec, at)
  if spec.type:find "^utf" then return put_code(out, value, spec, at) end
  if spec.unit and not spec.size then reader.fail(at, "a unit needs a size") end
  local bits = (spec.size or (spec.type == "float" and 64 or 8)) * (spec.unit or 1)
  if bits > 64 then
    out.wide = out.wide + bits
    if out.wide > MAX_WIDE then reader.fail(at, "the segment is too long") end
  end
  if spec.type == "float" then return put_float(out, value, bits, spec.endian, at) end
  if spec.type ~= "integer" or math.type(value) == "float" then reader.fail(at, "the value does not fit its type") end
  put_integer(out, value, bits, spec.endian)
end

local function is_plain(spec) return spec.type == "integer" and not spec.size and not spec.unit end

-- Each puts one segment whose value starts at `position`, and gives the position behind it.

local function put_string(out, text, position, value, at)
  local spec
  value, at = reader.string(text, value, at)
  spec, at = read_spec(text, at)
  if spec.type == "utf8" or (is_plain(spec) and not value:find "[\128-\255]") then
    put_bytes(out, value)
  else
    for _, code in utf8.codes(value) do put_number(out, code, spec, position) end
  end
  return at
end

local function put_binary(out, text, position, at, open, depth)
  local value, spec
  value, at = binary.parse(text, at, depth + 1)
  for _ = 1, open do at = reader.expect(text, at, ")") end
  spec, at = read_spec(text, at)
  if spec.type ~= "binary" and spec.type ~= "bits" then reader.fail(position, "the value does not fit its type") end
  put_bits(out, value, spec, position)
  return at
end

local function put_segment(out, text, position, depth)
  local kind, value, at = match(token, text, position)
  if kind == STRING then return put_string(out, text, position, value, at) end
  local open = 0
  while kind == PUNCTUATION and value == "(" do
    open = open + 1
    kind, value, at = match(token, text, at)
  end
  if kind == PUNCTUATION and value == "<<" then return put_binary(out, text, position, at, open, depth) end
  if kind ~= NUMBER or open > 0 then value, at = reader.signed(text, position) end
  local spec
  spec, at = read_spec(text, at)
  put_number(out, value, spec, position)
  return at
end

--- Reads the rest of a binary literal.
-- @int position behind the opening `<<`
-- @treturn string|opaque a binary, or a bitstring
-- @treturn int the position behind the closing `>>`
function binary.parse(text, position, depth)
  depth = depth or 0
  if depth > MAX_DEPTH then reader.fail(position, "binaries are nested too deep") end
  local kind, mark, at = match(token, text, position)
  if kind == PUNCTUATION and mark == ">>" then return "", at end
  local out = { pending = 0, count = 0, wide = 0 }
  while true do
    position = put_segment(out, text, position, depth)
    kind, mark, at = match(token, text, position)
    if kind ~= PUNCTUATION or (mark ~= "," and mark ~= ">>") then reader.unexpected(text, position) end
    if mark == ">>" then break end
    position = at
  end
  local bytes = table.concat(out)
  if out.count == 0 then return bytes, at end
  return term.bitstring(bytes .. string.char(out.pending << (8 - out.count) & 0xFF), out.count), at
end

return binary
