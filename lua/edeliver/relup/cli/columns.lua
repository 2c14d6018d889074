--- Text in columns, as a terminal counts them: how wide a text is, how it is cut, and tables that fit.
--
-- Knows no terminal: it is told how wide one is. Texts are escaped already.
--
-- @module edeliver.relup.cli.columns

local columns = {}

local GAP, LEAST = "  ", 8 -- between columns; as narrow as a cut column gets

-- Characters that take two columns: East Asian wide ones, and emoji. Enough for names and texts; a font may differ.
local WIDE = {
  { 0x1100, 0x115F }, { 0x2E80, 0x303E }, { 0x3041, 0xA4CF }, { 0xAC00, 0xD7A3 }, { 0xF900, 0xFAFF }, { 0xFE30, 0xFE6F },
  { 0xFF00, 0xFF60 }, { 0xFFE0, 0xFFE6 }, { 0x1F300, 0x1F64F }, { 0x1F680, 0x1F6FF }, { 0x1F900, 0x1F9FF }, { 0x20000, 0x3FFFD },
}
-- Those that take none: they go onto the one before.
local NONE = { { 0x0300, 0x036F }, { 0x200B, 0x200F }, { 0x20D0, 0x20FF }, { 0xFE00, 0xFE0F }, { 0xFE20, 0xFE2F } }

local function is_in(ranges, code)
  for _, range in ipairs(ranges) do
    if code >= range[1] and code <= range[2] then return true end
  end
  return false
end

local function width_of(code)
  if code < 0x300 then return 1 end
  return is_in(WIDE, code) and 2 or is_in(NONE, code) and 0 or 1
end

--- How many columns a text takes.
function columns.width(text)
  if not utf8.len(text) then return #text end
  if not text:find "[\x80-\xff]" then return #text end
  local width = 0
  for _, code in utf8.codes(text) do width = width + width_of(code) end
  return width
end

--- A text that takes no more than so many columns: its beginning and "…", where it is longer.
-- @string text
-- @tparam integer most at least 1
function columns.cut(text, most)
  if columns.width(text) <= most then return text end
  if not utf8.len(text) then return text:sub(1, most) end
  local width, up_to = 0, 0
  for position, code in utf8.codes(text) do
    width = width + width_of(code)
    if width > most - 1 then break end
    up_to = position + #utf8.char(code) - 1
  end
  return text:sub(1, up_to) .. "…"
end

-- Makes the widest column narrower, one by one, until all fit. Numbers are never cut.
local function fit(widths, numeric, limit)
  local total = #GAP * (#widths - 1)
  for _, width in ipairs(widths) do total = total + width end
  while total > limit do
    local widest
    for column, width in ipairs(widths) do
      if not numeric[column] and width > LEAST and (not widest or width > widths[widest]) then widest = column end
    end
    if not widest then return end
    widths[widest], total = widths[widest] - 1, total - 1
  end
end

--- The lines of a table, its header first: texts at the left, numbers at the right.
-- @tparam table header names of the columns
-- @tparam table rows lists of texts; and of numbers, where a column holds nothing else
-- @tparam ?integer limit as wide as it may be; cells are cut where it would be wider
-- @treturn table
function columns.lines(header, rows, limit)
  local cells, widths, numeric, lines = { header }, {}, {}, {}
  for column, name in ipairs(header) do widths[column], numeric[column] = columns.width(name), #rows > 0 end
  for i, row in ipairs(rows) do
    cells[i + 1] = {}
    for column = 1, #header do
      local text = tostring(row[column])
      if type(row[column]) ~= "number" then numeric[column] = false end
      cells[i + 1][column], widths[column] = text, math.max(widths[column], columns.width(text))
    end
  end
  if limit then fit(widths, numeric, limit) end
  for i, row in ipairs(cells) do
    local parts = {}
    for column, text in ipairs(row) do
      text = columns.cut(text, widths[column])
      local space = (" "):rep(widths[column] - columns.width(text))
      parts[column] = numeric[column] and space .. text or text .. space
    end
    lines[i] = table.concat(parts, GAP):gsub("%s+$", "")
  end
  return lines
end

return columns
