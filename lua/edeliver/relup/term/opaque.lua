--- The external bytes of opaque values: read for printing, built for literals.
--
-- An opaque value is its canonical bytes of the external term format (without the leading 131). This file reads just
-- as much of them as the shell would show and builds those that text can spell: big integers, bitstrings, exports.
-- The general codec is the C core's; this one needs no module to be compiled.

local opaque = {}

local ATOM_TAGS = { [100] = 2, [115] = 1, [118] = 2, [119] = 1 } -- ATOM, SMALL_ATOM, ATOM_UTF8, SMALL_ATOM_UTF8_EXT
local LATIN1_ATOMS = { [100] = true, [115] = true }

local function read_atom(etf, at)
  local width = ATOM_TAGS[etf:byte(at)]
  if not width then return nil, at end
  local name, next_at = string.unpack(">s" .. width, etf, at + 1)
  if LATIN1_ATOMS[etf:byte(at)] then name = name:gsub("[\128-\255]", function(c) return utf8.char(c:byte()) end) end
  return name, next_at
end

-- Big integers -------------------------------------------------------------------------------------------------------

local BASE, DIGITS = 1000000000, 9
local MAX_DECIMAL = 1024 -- bytes of a number that is printed in decimal: that takes time that grows with their square
local MAX_DIGITS = 10000 -- of a number that is read in such a base: a hundredth of a second; all that is printed is shorter
local POWERS = { [2] = 1, [4] = 2, [8] = 3, [16] = 4, [32] = 5 } -- the bases whose digits are whole bits, and how many

-- limbs * factor + addend, in place; the lowest limb comes first
local function multiply_add(limbs, factor, addend, base)
  local carry = addend
  for i = 1, #limbs do
    local value = limbs[i] * factor + carry
    limbs[i], carry = value % base, value // base
  end
  while carry > 0 do
    limbs[#limbs + 1], carry = carry % base, carry // base
  end
end

-- Not by gsub "\0+$", which looks at each run of zeros once for each of them.
local function without_high_zeros(bytes) return bytes:match "^.*[^\0]" or "" end

local function hexadecimal(bytes)
  local text = without_high_zeros(bytes):reverse():gsub(".", function(byte) return ("%02X"):format(byte:byte()) end)
  return "16#" .. text:gsub("^0", "")
end

local function bignum_text(etf)
  local size, sign, bytes
  if etf:byte(1) == 110 then size, sign, bytes = etf:byte(2), etf:byte(3), etf:sub(4)
  else size, sign, bytes = string.unpack(">I4", etf, 2), etf:byte(6), etf:sub(7) end
  if size > MAX_DECIMAL then return (sign == 1 and "-" or "") .. hexadecimal(bytes:sub(1, size)) end
  bytes = bytes:sub(1, size) .. ("\0"):rep(-size % 4)
  local limbs = {}
  for at = #bytes - 3, 1, -4 do
    multiply_add(limbs, 1 << 32, (string.unpack("<I4", bytes, at)), BASE)
  end
  local out = { sign == 1 and "-" or "", string.format("%d", limbs[#limbs] or 0) }
  for i = #limbs - 1, 1, -1 do out[#out + 1] = ("%0" .. DIGITS .. "d"):format(limbs[i]) end
  return table.concat(out)
end

local function bignum_etf(limbs, negative)
  local words = {}
  for i, limb in ipairs(limbs) do words[i] = string.pack("<I4", limb) end
  local bytes = without_high_zeros(table.concat(words))
  local sign = negative and "\1" or "\0"
  if #bytes < 256 then return "\110" .. string.char(#bytes) .. sign .. bytes end
  return "\111" .. string.pack(">I4", #bytes) .. sign .. bytes
end

-- Limbs of digits that are `bits` each, from the last one on.
local function join(digits, base, bits)
  local chunk = 30 // bits
  local limbs, pending, count = {}, 0, 0
  for stop = #digits, 1, -chunk do
    pending = pending | tonumber(digits:sub(math.max(1, stop - chunk + 1), stop), base) << count
    count = count + chunk * bits
    if count >= 32 then
      limbs[#limbs + 1] = pending & 0xFFFFFFFF
      pending, count = pending >> 32, count - 32
    end
  end
  limbs[#limbs + 1] = pending
  while limbs[#limbs] == 0 do limbs[#limbs] = nil end
  return limbs
end

local function multiply_out(digits, base)
  local chunk = 1
  while base ^ (chunk + 1) < 2 ^ 31 do chunk = chunk + 1 end
  local limbs = {}
  for at = 1, #digits, chunk do
    local part = digits:sub(at, at + chunk - 1)
    multiply_add(limbs, math.tointeger(base ^ #part), tonumber(part, base), 1 << 32)
  end
  return limbs
end

--- Whether so many digits are worth reading when we did not write them: in bases whose digits are no whole bits it takes
-- time that grows with the square of their number.
function opaque.is_cheap(digits, base) return POWERS[base] ~= nil or digits <= MAX_DIGITS end

--- An integer of any size from its digits: a Lua integer where it fits, else the bytes of a big one.
-- @string digits letters and digits of that base, nothing else
-- @int base 2 to 36
-- @treturn[1] integer
-- @treturn[2] nil
-- @treturn[2] string SMALL_BIG_EXT or LARGE_BIG_EXT
function opaque.integer(digits, base, negative)
  local bits = POWERS[base]
  local limbs = bits and join(digits, base, bits) or multiply_out(digits, base)
  local low, high = limbs[1] or 0, limbs[2] or 0
  local value = high << 32 | low
  if #limbs <= 2 and (value >= 0 or (negative and value == math.mininteger)) then
    return negative and -value or value
  end
  return nil, bignum_etf(limbs, negative)
end

-- Bitstrings ---------------------------------------------------------------------------------------------------------

--- BIT_BINARY_EXT: `bits` (1 to 7) of the last byte count, from its high end.
function opaque.bitstring_etf(bytes, bits)
  local last = bytes:byte(-1) & (0xFF << (8 - bits)) & 0xFF
  return "\77" .. string.pack(">I4B", #bytes, bits) .. bytes:sub(1, -2) .. string.char(last)
end

--- Bytes and number of bits in the last of them.
function opaque.bitstring_parts(etf)
  local _, bits, at = string.unpack(">I4B", etf, 2)
  return etf:sub(at), bits
end

local function bitstring_text(etf)
  local bytes, bits = opaque.bitstring_parts(etf)
  local out = {}
  for i = 1, #bytes - 1 do out[i] = bytes:byte(i) end
  out[#bytes] = ("%d:%d"):format(bytes:byte(-1) >> (8 - bits), bits)
  return "<<" .. table.concat(out, ",") .. ">>"
end

-- The others ---------------------------------------------------------------------------------------------------------

local function pid_text(etf)
  local _, at = read_atom(etf, 2)
  local id, serial = string.unpack(">I4I4", etf, at)
  return ("<0.%d.%d>"):format(id, serial)
end

local function port_text(etf)
  local _, at = read_atom(etf, 2)
  local is_v4 = etf:byte(1) == 120
  local high = is_v4 and string.unpack(">I4", etf, at) or 0
  local low = string.unpack(">I4", etf, is_v4 and at + 4 or at)
  return "#Port<0." .. bignum_text("\110\8\0" .. string.pack("<I4I4", low, high)) .. ">"
end

local function ref_text(etf)
  local count = string.unpack(">I2", etf, 2)
  local _, at = read_atom(etf, 4)
  at = at + 4 -- creation
  local ids = {}
  for i = count, 1, -1 do ids[i], at = string.unpack(">I4", etf, at) end
  return "#Ref<0." .. table.concat(ids, ".") .. ">"
end

local function read_small_integer(etf, at)
  local tag = etf:byte(at)
  if tag == 97 then return etf:byte(at + 1), at + 2 end
  if tag == 98 then return string.unpack(">i4", etf, at + 1) end
  if tag == 110 then return bignum_text(etf:sub(at)), at + 3 + etf:byte(at + 1) end
  return nil, at
end

local function fun_text(etf, quote)
  local module, at = read_atom(etf, 2 + 4 + 1 + 16 + 4 + 4)
  if etf:byte(1) ~= 112 or not module then return "#Fun<>" end
  local index, uniq
  index, at = read_small_integer(etf, at)
  uniq = read_small_integer(etf, at)
  return ("#Fun<%s.%s.%s>"):format(quote(module), tostring(index), tostring(uniq))
end

local function export_text(etf, quote)
  local module, at = read_atom(etf, 2)
  local name, arity_at = read_atom(etf, at)
  return ("fun %s:%s/%d"):format(quote(module), quote(name), (read_small_integer(etf, arity_at)))
end

--- EXPORT_EXT: `fun module:name/arity`.
function opaque.export_etf(module, name, arity)
  local function atom(text)
    if #text < 256 then return "\119" .. string.pack(">s1", text) end
    return "\118" .. string.pack(">s2", text)
  end
  return "\113" .. atom(module) .. atom(name) .. "\97" .. string.char(arity)
end

--- Module, name and arity of an export.
function opaque.export_parts(etf)
  local module, at = read_atom(etf, 2)
  local name, arity_at = read_atom(etf, at)
  return module, name, (read_small_integer(etf, arity_at))
end

local writers = {
  pid = pid_text, port = port_text, ref = ref_text, fun = fun_text, export = export_text, bitstring = bitstring_text,
  bignum = bignum_text,
}

--- What the shell prints for an opaque value. The node index of pids, ports and references is always 0.
-- @param quote gives the source text of an atom's name
function opaque.format(value, quote)
  return writers[value.kind](value.etf, quote)
end

return opaque
