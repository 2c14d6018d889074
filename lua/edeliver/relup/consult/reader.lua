--- What the parsers of terms and of binaries share: errors with their place, and values that take more than a token.

local lpeg = require "lpeg"
local term = require "edeliver.relup.term"
local format = require "edeliver.relup.term.format"
local scanner = require "edeliver.relup.consult.scanner"

local reader = {}

local match, token = lpeg.match, scanner.token

--- Gives up at a position. Raises a table that `consult.parse` turns into its `nil, message, "syntax"`.
function reader.fail(position, message)
  error({ position = position, message = message }, 0)
end

--- Gives up because of what is at a position, behind white space and comments.
function reader.unexpected(text, position)
  local start = match(scanner.skip, text, position)
  if start > #text then reader.fail(start, "unexpected end of the text; a term ends with a full stop") end
  local _, _, stop = match(token, text, start)
  local found = stop and text:sub(start, stop - 1) or text:match("^[%w_@]+", start)
    or text:match(utf8.charpattern, start)
  if found:find "^[\"']$" then reader.fail(start, "a quoted text that does not end, or holds an illegal character") end
  if found:find "^[A-Z_]" then reader.fail(start, ("%s is a variable, not a term"):format(found)) end
  reader.fail(start, ("unexpected %s"):format(format.quote(found:sub(1, (utf8.offset(found, 40) or 0) - 1), '"')))
end

--- The position behind a punctuation mark that has to be here.
function reader.expect(text, position, mark)
  local kind, found, at = match(token, text, position)
  if kind ~= scanner.PUNCTUATION or found ~= mark then reader.unexpected(text, position) end
  return at
end

--- A string and the strings that follow it: `"a" "b"` is `"ab"`.
function reader.string(text, first, position)
  local byte = text:byte(position)
  if byte == 44 or byte == 125 or byte == 93 then return first, position end -- , } ]
  local more, at = match(scanner.more_string, text, position)
  if not more then return first, position end
  return first .. table.concat(more), at
end

--- A number with any sign and parentheses that Erlang allows around it: `-1`, `-(1)`, `(-1)`; not `- -1`.
-- @treturn number|opaque value
-- @treturn int position behind it
function reader.signed(text, position)
  local sign, open = nil, 0
  while true do
    local kind, value, at = match(token, text, position)
    if kind == scanner.PUNCTUATION and (value == "-" or value == "+") and not sign then
      sign = value
    elseif kind == scanner.PUNCTUATION and value == "(" then
      open = open + 1
    elseif kind == scanner.NUMBER or kind == scanner.BIG then
      for _ = 1, open do at = reader.expect(text, at, ")") end
      if kind == scanner.BIG then return reader.big(value, sign == "-"), at end
      return sign == "-" and -value or value, at
    else
      reader.unexpected(text, position)
    end
    position = at
  end
end

--- The integer of SMALL_BIG_EXT or LARGE_BIG_EXT bytes, negated where asked: 2^63 is big, -2^63 is a Lua integer.
function reader.big(etf, negative)
  if not negative then return term.types.new_opaque("bignum", etf) end
  if etf == "\110\8\0\0\0\0\0\0\0\0\x80" then return math.mininteger end
  local sign_at = etf:byte(1) == 110 and 3 or 6
  return term.types.new_opaque("bignum", etf:sub(1, sign_at - 1) .. "\1" .. etf:sub(sign_at + 1))
end

return reader
