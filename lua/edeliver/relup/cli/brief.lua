--- Texts without Erlang's stack traces, for people: where something failed in OTP's own code helps nobody who operates a node.
--
-- The whole text is in the journal, in JSON, and with `--verbose`.
--
-- @module edeliver.relup.cli.brief

local brief = {}

-- Whether a frame begins there: `{Module,Function,ArityOrArguments,[`.
local function is_frame(text, at)
  local behind = text:match("^{[^,{}%[%]]+,[^,{}%[%]]+,()", at)
  behind = behind and (text:match("^%d+()", behind) or text:match("^%b[]()", behind))
  return behind ~= nil and text:find("^,%[", behind) ~= nil
end

--- A text with "[...]" in the place of each stack trace, also of one that was cut off.
-- @string text
-- @treturn string
function brief.of(text)
  local parts, at = {}, 1
  while true do
    local from = text:find("[{", at, true)
    if not from then break end
    if is_frame(text, from + 1) then
      parts[#parts + 1] = text:sub(at, from - 1) .. "[...]"
      at = text:match("^%b[]()", from) or #text + 1
    else
      parts[#parts + 1] = text:sub(at, from)
      at = from + 1
    end
  end
  return table.concat(parts) .. text:sub(at)
end

return brief
