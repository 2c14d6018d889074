--- Raises what a translation of instructions is refused for; `edeliver.relup.plan.translate` catches it.
--
-- @module edeliver.relup.plan.refuse

--- @string code
-- @string text with places for what follows
return function(code, text, ...) error({ message = text:format(...), code = code }, 0) end
