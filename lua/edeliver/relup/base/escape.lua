--- Makes text harmless that was written by somebody else: what comes from a node may hold anything.
--
-- Knows no terms and no streams. Doing it twice does no harm either.
--
-- @module edeliver.relup.base.escape

local escape = {}

local function hex(characters) return (characters:gsub(".", function(byte) return ("\\x%02X"):format(byte:byte()) end)) end

--- Bytes that are no UTF-8 become `\xNN`, as JSON needs it.
-- @string text
function escape.utf8(text)
  if utf8.len(text) then return text end
  return (text:gsub("[\128-\255]+", function(bytes) return not utf8.len(bytes) and hex(bytes) or nil end))
end

-- C1 controls, and the marks that turn the direction of writing around.
local MARKS = { "\xC2[\x80-\x9F]", "\xD8\x9C", "\xE2\x80[\x8E\x8F\xAA-\xAE]", "\xE2\x81[\xA6-\xA9]" }

--- Makes a text harmless to a terminal: control characters, and bytes that are no UTF-8, become `\xNN`. Line ends stay.
-- @param text what is no string is printed as `tostring` does
function escape.text(text)
  text = escape.utf8((tostring(text):gsub("\t", " "):gsub("[%z\1-\9\11-\31\127]", hex)))
  for _, pattern in ipairs(MARKS) do text = text:gsub(pattern, hex) end
  return text
end

--- The same, and line ends become `\x0A`: for a part of a line, which it must not end.
function escape.line(text) return (escape.text(text):gsub("\n", hex)) end

--- The beginning of a text that is longer than so many bytes, and "..."; no character is cut in two.
function escape.shortened(text, most)
  return #text <= most and text or (text:sub(1, most):gsub("[\xC0-\xFF][\x80-\xBF]*$", "")) .. "..."
end

return escape
