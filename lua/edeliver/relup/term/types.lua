--- Metatables and interning tables of terms, as the C binding takes them (`term.types`).
--
-- Only what gives a value its kind. How values are made, compared and printed is said elsewhere.

local types = {
  atom = { __name = "edeliver.relup.atom" },
  tuple = { __name = "edeliver.relup.tuple" },
  list = { __name = "edeliver.relup.list" },
  charlist = { __name = "edeliver.relup.charlist" },
  map = { __name = "edeliver.relup.map" },
  opaque = { __name = "edeliver.relup.opaque" },
  atoms = setmetatable({}, { __mode = "v" }),
  opaques = setmetatable({}, { __mode = "v" }),
  entries = setmetatable({}, { __name = "edeliver.relup.map.entries" }),
}

--- Makes and interns an atom that `types.atoms` does not hold yet. No checks: `term.atom` is the door for callers.
function types.new_atom(name)
  local made = setmetatable({ name = name }, types.atom)
  types.atoms[name] = made
  return made
end

--- The opaque value of these canonical external bytes (without the leading 131).
-- @param kind "pid", "port", "ref", "fun", "export", "bitstring" or "bignum"
function types.new_opaque(kind, etf)
  local made = types.opaques[etf]
  if not made then
    made = setmetatable({ kind = kind, etf = etf }, types.opaque)
    types.opaques[etf] = made
  end
  return made
end

return types
