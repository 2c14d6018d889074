--- Prints terms as the Erlang shell does, in one line.
--
-- What `io_lib:format("~tp", [Term])` gives, without its line breaks. Control characters never come out raw, so what a
-- node sends is safe to show on a terminal. Knows the terms' Lua form and the external bytes of opaque values, no more.
-- Linear in the size of the term; what is nested deeper than `max_depth` prints as `...`.

local opaque = require "edeliver.relup.term.opaque"

local format = {}

--- How deep terms may be nested before `...` replaces the rest.
format.max_depth = 10000

local concat, char_of = table.concat, utf8.char
local math_type, string_format = math.type, string.format

-- `maybe` and `else` are reserved from OTP 27 on, unquoted in print by all before it.
local reserved = {}
for word in ([[after and andalso band begin bnot bor bsl bsr bxor case catch cond div end fun if let not of or orelse
               receive rem try when xor]]):gmatch "%S+" do
  reserved[word] = true
end

--- Whether a word is reserved, so that the atom of that name needs quotes.
function format.is_reserved(word) return reserved[word] == true end

local escapes = {
  ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t", ["\v"] = "\\v", ["\b"] = "\\b", ["\f"] = "\\f", ["\27"] = "\\e",
  ["\127"] = "\\d", ["\\"] = "\\\\", ['"'] = '\\"', ["'"] = "\\'",
}

local function escape(char)
  return escapes[char] or string_format("\\%03o", #char == 1 and char:byte() or utf8.codepoint(char))
end

--- Quotes UTF-8 text with `'` or `"`, escaping as `io_lib:write_string/2`.
function format.quote(text, mark)
  local body = text
  if body:find(mark == '"' and '[%z\1-\31\127"\\]' or "[%z\1-\31\127'\\]") then
    body = body:gsub(mark == '"' and '[%z\1-\31\127"\\]' or "[%z\1-\31\127'\\]", escape)
  end
  if body:find("\xC2", 1, true) then body = body:gsub("\xC2[\x80-\x9F]", escape) end
  return mark .. body .. mark
end

local function is_bare_latin1(name)
  if not utf8.len(name) then return false end
  local first = true
  for _, code in utf8.codes(name) do
    local lower = (code >= 97 and code <= 122) or (code >= 0xDF and code <= 0xFF and code ~= 0xF7)
    local other = code == 95 or code == 64 or (code >= 48 and code <= 57) or (code >= 65 and code <= 90)
      or (code >= 0xC0 and code <= 0xDE and code ~= 0xD7)
    if not (lower or (other and not first)) then return false end
    first = false
  end
  return true
end

local atom_texts = setmetatable({}, { __mode = "k" })

--- An atom's name as source text, quoted where it must be.
function format.atom_name(name)
  local bare = name:find("^[a-z][a-zA-Z0-9_@]*$")
  if not bare and name:find("^[a-z\xC3]") and name:find("[\x80-\xFF]") then bare = is_bare_latin1(name) end
  if bare and not reserved[name] then return name end
  return format.quote(name, "'")
end

--- The same of an atom, kept as long as the atom lives.
function format.atom_text(atom)
  local text = atom_texts[atom]
  if not text then
    text = format.atom_name(atom.name)
    atom_texts[atom] = text
  end
  return text
end

-- Floats -------------------------------------------------------------------------------------------------------------

-- Digits without the point, and the exponent of the first of them.
local function split_scientific(text)
  local digits, exponent = text:match "^(.-)e(.*)$"
  return (digits:gsub("%.", "")), math.tointeger(tonumber(exponent))
end

-- The fewest digits that read back as the same float. A power of two has more room above it than below, so that there
-- the next number of so many digits can do where the nearest one does not.
local function shortest_digits(value)
  local is_power = string_format("%a", value):find "^0x1p" or value < 2.3e-308
  for precision = 0, 16 do
    local text = string_format("%." .. precision .. "e", value)
    if tonumber(text) == value then return split_scientific(text) end
    if is_power then
      local digits, exponent = split_scientific(text)
      local above = string_format("%d", tonumber(digits) + 1)
      if #above == #digits and tonumber(above .. "e" .. exponent - precision) == value then return above, exponent end
    end
  end
end

--- A float as `float_to_list(F, [short])` writes it: the shorter of both notations, decimal where they tie, but never
-- decimal beyond 2^53, where it would pretend to a precision that floats do not have.
function format.float(value)
  if value ~= value or value == math.huge or value == -math.huge then return tostring(value) end
  if value == 0 then return 1 / value < 0 and "-0.0" or "0.0" end
  local sign = value < 0 and "-" or ""
  local size = math.abs(value)
  local digits, exponent = shortest_digits(size)
  digits = digits:gsub("0+$", "")
  if digits == "" then digits = "0" end
  local scientific = digits:sub(1, 1) .. "." .. (#digits > 1 and digits:sub(2) or "0") .. "e" .. exponent
  if size >= 2.0 ^ 53 then return sign .. scientific end
  local decimal
  if exponent < 0 then
    decimal = "0." .. ("0"):rep(-exponent - 1) .. digits
  elseif #digits <= exponent + 1 then
    decimal = digits .. ("0"):rep(exponent + 1 - #digits) .. ".0"
  else
    decimal = digits:sub(1, exponent + 1) .. "." .. digits:sub(exponent + 2)
  end
  return sign .. (#decimal <= #scientific and decimal or scientific)
end

-- Text ---------------------------------------------------------------------------------------------------------------

local function is_printable_code(code, unicode)
  if code < 32 then return code >= 8 and code <= 13 or code == 27 end
  if code <= 126 then return true end
  if code < 160 then return false end
  if not unicode then return code <= 255 end
  return code < 0xD800 or (code > 0xDFFF and code < 0xFFFE) or (code > 0xFFFF and code <= 0x10FFFF)
end

local function is_printable_text(text, unicode)
  if not text:find("[^\32-\126\8-\13\27]") then return true end
  if text:find("[%z\1-\7\14-\26\28-\31\127]") then return false end
  for _, code in utf8.codes(text) do
    if not is_printable_code(code, unicode) then return false end
  end
  return true
end

--- Whether a sequence of terms is a charlist that Erlang prints as a string.
function format.is_printable_list(list, unicode)
  local size = #list
  for i = 1, size do
    local code = list[i]
    if math_type(code) ~= "integer" or code < 8 or not is_printable_code(code, unicode) then return false end
  end
  return size > 0
end

local function bytes_text(bytes)
  local out = {}
  for i = 1, #bytes do out[i] = bytes:byte(i) end
  return "<<" .. concat(out, ",") .. ">>"
end

--- A binary as the shell shows it: as text where it is printable UTF-8 or Latin-1, else as bytes.
function format.binary(bytes, unicode)
  if bytes == "" then return "<<>>" end
  if not bytes:find("[^\32-\126\8-\13\27]") then return "<<" .. format.quote(bytes, '"') .. ">>" end
  if utf8.len(bytes) then
    if is_printable_text(bytes, unicode) then return "<<" .. format.quote(bytes, '"') .. "/utf8>>" end
  elseif not bytes:find("[%z\1-\7\14-\26\28-\31\127-\159]") then
    local utf8_text = bytes:gsub("[\160-\255]", function(byte) return char_of(byte:byte()) end)
    return "<<" .. format.quote(utf8_text, '"') .. ">>"
  end
  return bytes_text(bytes)
end

-- Terms --------------------------------------------------------------------------------------------------------------

local function charlist_text(charlist, options)
  local text = charlist.text
  if text == "" then return "[]" end
  if is_printable_text(text, options.unicode) then return format.quote(text, '"') end
  local out = {}
  for _, code in utf8.codes(text) do out[#out + 1] = string_format("%d", code) end
  return "[" .. concat(out, ",") .. "]"
end

-- Each writer puts its pieces behind out[n] and gives the new n.
local write

local function write_items(items, out, n, options, depth)
  for i = 1, #items do
    if i > 1 then n = n + 1; out[n] = "," end
    n = write(items[i], out, n, options, depth)
  end
  return n
end

local function write_list(list, out, n, options, depth)
  local tail = getmetatable(list) and list.tail
  if tail == nil and format.is_printable_list(list, options.unicode) then
    local chars = {}
    for i = 1, #list do chars[i] = char_of(list[i]) end
    out[n + 1] = format.quote(concat(chars), '"')
    return n + 1
  end
  n = n + 1; out[n] = "["
  n = write_items(list, out, n, options, depth)
  if tail ~= nil then
    n = n + 1; out[n] = "|"
    n = write(tail, out, n, options, depth)
  end
  n = n + 1; out[n] = "]"
  return n
end

local function write_map(map, out, n, options, depth)
  n = n + 1; out[n] = "#{"
  local first = true
  for key, value in pairs(map) do
    if not first then n = n + 1; out[n] = "," end
    first = false
    n = write(key, out, n, options, depth)
    n = n + 1; out[n] = " => "
    n = write(value, out, n, options, depth)
  end
  n = n + 1; out[n] = "}"
  return n
end

local scalars = {
  string = function(value, options) return format.binary(value, options.unicode) end,
  boolean = tostring,
  number = function(value)
    if math_type(value) == "integer" then return string_format("%d", value) end
    return format.float(value)
  end,
}

--- Makes the printer of these types (term.types): `print(term, options)`, where `options.unicode` widens what counts as
-- printable as `erl +pc unicode` does.
function format.printer(types)
  function write(value, out, n, options, depth)
    local scalar = scalars[type(value)]
    if scalar then
      out[n + 1] = scalar(value, options)
      return n + 1
    end
    local meta = type(value) == "table" and getmetatable(value)
    if meta == types.atom then
      out[n + 1] = format.atom_text(value)
      return n + 1
    elseif meta == types.charlist then
      out[n + 1] = charlist_text(value, options)
      return n + 1
    elseif meta == types.opaque then
      out[n + 1] = opaque.format(value, format.atom_name)
      return n + 1
    elseif meta == false or not (meta == nil or meta == types.tuple or meta == types.list or meta == types.map) then
      error(("a %s is no term"):format(type(value)), 0)
    end
    if depth >= format.max_depth then
      out[n + 1] = "..."
      return n + 1
    end
    if meta == types.tuple then
      n = n + 1; out[n] = "{"
      n = write_items(value, out, n, options, depth + 1)
      n = n + 1; out[n] = "}"
      return n
    end
    return (meta == types.map and write_map or write_list)(value, out, n, options, depth + 1)
  end

  return function(value, options)
    local out = {}
    write(value, out, 0, options or {}, 0)
    return concat(out)
  end
end

return format
