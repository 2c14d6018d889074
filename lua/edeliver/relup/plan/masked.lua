--- Values of a configuration for people's eyes: what looks like a secret is masked, however deep it lies.
--
-- @module edeliver.relup.plan.masked

local term = require "edeliver.relup.term"

local masked = {}

local MASK = term.atom "********"
local SECRET = { "secret", "passw", "passphrase", "token", "cookie", "credential", "private", "salt", "api_key", "apikey",
  "access_key", "signing", "dsn", "_key$", "%.key$", "^key$" }

--- Whether a key's name says that its value is a secret.
function masked.is_secret(name)
  name = name:lower()
  for _, pattern in ipairs(SECRET) do
    if name:find(pattern) then return true end
  end
  return false
end

-- user:password@ in a URL
local function without_password(text) return (text:gsub("(%w+://[^/@:%s]*):[^/@%s]*@", "%1:********@")) end

local mask

local function is_pair(value) return term.kind(value) == "tuple" and #value == 2 end

local function mask_pair(key, value)
  local name = (term.kind(key) == "atom" or type(key) == "string") and term.text(key)
  if name and masked.is_secret(name) then return MASK end
  return mask(value)
end

function mask(value)
  local kind = term.kind(value)
  if kind == "binary" then return without_password(value) end
  if kind == "charlist" then return term.charlist(without_password(value.text)) end
  if is_pair(value) then return term.tuple { mask(value[1]), mask_pair(value[1], value[2]) } end
  local items = {}
  if kind == "tuple" or kind == "list" then
    for i = 1, #value do items[i] = mask(value[i]) end
    if kind == "tuple" then return term.tuple(items) end
    local tail = getmetatable(value) and value.tail or nil
    return #items > 0 and term.list(items, tail and mask(tail)) or value
  end
  if kind == "map" then
    for key, item in pairs(value) do
      items[#items + 1] = mask(key)
      items[#items + 1] = mask_pair(key, item)
    end
    return term.map(items)
  end
  return value
end

--- A value as text, its secrets masked.
-- @string key "application.key", or any name
-- @param value a term
function masked.format(key, value)
  if masked.is_secret(key:match "%.(.*)$" or key) then return "********" end
  return (term.format(mask(value)):gsub("'%*%*%*%*%*%*%*%*'", "********"))
end

return masked
