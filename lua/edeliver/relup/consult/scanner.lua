--- Tokens of Erlang's term syntax, as `erl_scan` cuts them.
--
-- One LPeg pattern, matched at one position at a time, so that nothing here recurses however the input is nested. Text
-- is UTF-8. Knows characters, numbers and escapes; what terms are made of them is the parser's business.

local lpeg = require "lpeg"
local opaque = require "edeliver.relup.term.opaque"

local P, R, S, C, Cc, Cp, Cs, Ct = lpeg.P, lpeg.R, lpeg.S, lpeg.C, lpeg.Cc, lpeg.Cp, lpeg.Cs, lpeg.Ct

local scanner = {}

-- Token kinds: the first result of a match.
scanner.ATOM, scanner.NUMBER, scanner.STRING, scanner.BIG, scanner.PUNCTUATION, scanner.QUOTED = 1, 2, 3, 4, 5, 6

-- White space is every control character, the space, and U+0080 to U+00A0.
local blank = R("\0\32") + P "\xC2" * R "\x80\xA0"
-- erl_scan takes U+FFFE and U+FFFF for no characters. Both begin with a byte that few texts have.
local no_character = P "\xEF\xBF" * S "\xBE\xBF"
local rare = P "\xEF" - no_character
local comment = P "%" * (1 - S "\n\xEF" + rare) ^ 0
scanner.skip = (blank ^ 1 + comment) ^ 0

-- Characters and their escapes ---------------------------------------------------------------------------------------

local utf8_char = R "\0\127" + R "\xC2\xDF" * R "\x80\xBF" + R "\xE0\xEF" * R "\x80\xBF" * R "\x80\xBF"
  + R "\xF0\xF4" * R "\x80\xBF" * R "\x80\xBF" * R "\x80\xBF"

local simple = {
  b = "\b", d = "\127", e = "\27", f = "\f", n = "\n", r = "\r", s = " ", t = "\t", v = "\v",
}

-- A match-time check: surrogates and what lies beyond Unicode are no characters.
local function code_point(base)
  return function(_, position, digits)
    local code = #digits <= 12 and tonumber(digits, base)
    if not code or code > 0x10FFFF or (code >= 0xD800 and code <= 0xDFFF) or code == 0xFFFE or code == 0xFFFF then
      return false
    end
    return position, utf8.char(code)
  end
end

local hex = R("09", "af", "AF")
local octal = R "07"
-- Divided by 1, so that the capture spans the backslash too.
local escape = (P "\\" * (
  lpeg.Cmt(C(octal * octal ^ -2), code_point(8))
  + P "x" * (P "{" * lpeg.Cmt(C(hex ^ 1), code_point(16)) * P "}" + lpeg.Cmt(C(hex * hex), code_point(16)))
  + P "^" * (C(utf8_char) / function(char) return string.char(utf8.codepoint(char) & 31) end)
  + C(S "bdefnrstv") / simple
  + C(utf8_char - S "x^" - no_character))) / 1

local function quoted(mark)
  local plain = (1 - S("\\\xEF" .. mark)) ^ 1
  return P(mark) * (C(plain ^ -1) * P(mark) + Cs((plain + rare + escape) ^ 0) * P(mark))
end

-- Numbers ------------------------------------------------------------------------------------------------------------

local function clean(digits) return (digits:gsub("_", "")) end

local function digits_of(digit) return digit ^ 1 * (P "_" * digit ^ 1) ^ 0 end

local digits = digits_of(R "09")

local function integer(text, base, position)
  text = clean(text)
  if not opaque.is_cheap(#text, base) then
    -- As reader.fail, which knows this file, gives up.
    error({ position = position, message = ("an integer of %d digits in base %d: write it in base 16"):format(#text, base) }, 0)
  end
  local value, etf = opaque.integer(text, base)
  return value and scanner.NUMBER or scanner.BIG, value or etf
end

local function decimal(position, text)
  if #text <= 18 then return scanner.NUMBER, math.tointeger(tonumber(clean(text))) end
  return integer(text, 10, position)
end

-- Match-time, because the base says which digits may follow.
local function based(text, position, base_text)
  local base = math.tointeger(tonumber(clean(base_text)))
  if not base or base < 2 or base > 36 then return false end
  local stop = position
  for at, char in text:gmatch("()([%w_])", position) do
    local is_digit = char ~= "_" and tonumber(char, 36) < base
    local is_separator = char == "_" and at > position and text:sub(at - 1, at - 1) ~= "_"
      and (tonumber(text:sub(at + 1, at + 1), 36) or 99) < base
    if at ~= stop or not (is_digit or is_separator) then break end
    stop = at + 1
  end
  if stop == position then return false end
  return stop, integer(text:sub(position, stop - 1), base, position - 1 - #base_text)
end

-- A match-time check: what overflows a float is no number.
local function float(_, position, text)
  local value = tonumber(clean(text))
  if value == math.huge then return false end
  return position, scanner.NUMBER, value
end

local exponent = S "eE" * S "+-" ^ -1 * digits
local number = lpeg.Cmt(C(digits * P "." * digits * exponent ^ -1), float)
  + lpeg.Cmt(C(digits) * P "#", based)
  + Cp() * C(digits) / decimal

local utf8_code = utf8.codepoint
local char = P "$" * ((escape + C(utf8_char - P "\\" - no_character)) / utf8_code)

-- Words and marks ----------------------------------------------------------------------------------------------------

-- Latin-1 letters in UTF-8: all of U+00C0 to U+00FF but the signs for multiplication and division.
local latin1_lower = P "\xC3" * (R "\x9F\xBF" - P "\xB7")
local latin1_letter = P "\xC3" * (R "\x80\xBF" - S "\x97\xB7")
local name = (R "az" + latin1_lower) * (R("az", "AZ", "09") + S "_@" + latin1_letter) ^ 0

local punctuation = P "=>" + P "<<" + P ">>" + S "{}[](),|#-+:/"
-- The full stop that ends a term, unlike the dot of a float or a record.
local stop = P "." * (#blank + #P "%" + -P(1)) / "."

scanner.name = name

--- Matches one token behind white space and comments: kind, value, and the position after it.
-- ATOM (bare, maybe a reserved word), QUOTED (an atom in quotes) and STRING carry text, NUMBER a Lua number, BIG the
-- external bytes of an integer, PUNCTUATION its text.
scanner.token = scanner.skip * (
  Cc(scanner.ATOM) * C(name)
  + Cc(scanner.PUNCTUATION) * (C(punctuation) + stop)
  + Cc(scanner.STRING) * quoted '"'
  + number
  + Cc(scanner.QUOTED) * quoted "'"
  + Cc(scanner.NUMBER) * char) * Cp()

--- More pieces of a string that follow one: `"a" "b"` is `"ab"`.
scanner.more_string = Ct((scanner.skip * quoted '"') ^ 1) * Cp()

return scanner
