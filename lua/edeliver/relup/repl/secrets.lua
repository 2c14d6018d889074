--- Which lines may hold a secret: those are kept nowhere.
--
-- A line that names a thing of that kind, and a line with a secret that is known. Too many rather than too few.
--
-- @module edeliver.relup.repl.secrets

local secrets = {}

-- As parts of words, in small letters.
local WORDS = {
  "cookie", "password", "passwd", "passphrase", "secret", "token", "credential", "private", "api_key", "apikey", "access_key",
  "authorization", "bearer ", "database_url",
}

-- `scheme://user:password@host`
local USER_IN_URL = "://[^/%s:@]*:[^/%s@]+@"

local SHORTEST = 4 -- characters of a known secret: a shorter one is in any line

--- Whether a line may hold a secret.
-- @string line
-- @tparam[opt] table known secrets, a list of strings
function secrets.may_be_in(line, known)
  local small = line:lower()
  for _, word in ipairs(WORDS) do
    if small:find(word, 1, true) then return true end
  end
  if line:find(USER_IN_URL) then return true end
  for _, secret in ipairs(known or {}) do
    if #secret >= SHORTEST and line:find(secret, 1, true) then return true end
  end
  return false
end

return secrets
