--- The first pass over a release's files: which of them count, and what is kept of each, its text or a digest.
--
-- Knows where files lie in a release, and nothing of what they say.
--
-- @module edeliver.relup.release.scan

local core = require "edeliver.relup.core"

local scan = {}

-- Where files are, and what is kept of each: its text, or a digest.
local TEXTS = {
  "^lib/[^/]+/ebin/[^/]+%.app$", "^lib/[^/]+/ebin/[^/]+%.appup$", "^releases/[^/]+%.rel$", "^releases/[^/]+/[^/]+%.rel$",
  "^releases/[^/]+/[^/]+%.boot$", "^releases/[^/]+/[^/]+%.script$", "^releases/[^/]+/sys%.config$",
  "^releases/[^/]+/vm%.args$", "^releases/[^/]+/env%.sh$", "^releases/start_erl%.data$", "^releases/[^/]+/relup$",
}
local DIGESTS = { "^lib/[^/]+/priv/", "^releases/[^/]+/[^/]+$" }
local EMULATOR = "^erts%-[^/]+/bin/beam%.smp$"
local BEAMS = { "^lib/[^/]+/ebin/[^/]+%.beam$", "^releases/[^/]+/consolidated/[^/]+%.beam$" }
-- What no upgrade looks at; a folder is kept out of.
local IGNORED = { ["bin"] = true, ["log"] = true, ["tmp"] = true, ["var"] = true }

local MAX_TEXT = 16 << 20

local function matches(name, patterns)
  for _, pattern in ipairs(patterns) do
    if name:find(pattern) then return true end
  end
  return false
end

local function kind_of(name)
  if name:find "%.beam$" then return matches(name, BEAMS) and "beam" or nil end
  if matches(name, TEXTS) or name:find(EMULATOR) then return "text" end
  return matches(name, DIGESTS) and "digest" or nil
end

local function enters(folder)
  local top, rest = folder:match "^([^/]+)/?(.*)$"
  if IGNORED[top] then return false end
  if top:find "^erts%-" then return rest == "" or rest == "bin" end
  if top == "lib" and rest:find "/" then
    local inner = rest:match "^[^/]+/([^/]+)"
    return inner == "ebin" or inner == "priv"
  end
  return true
end

local function read_text(self, name, bytes)
  if #bytes > MAX_TEXT then return nil, ("%s/%s has more than %d bytes"):format(self.path, name, MAX_TEXT), "limit" end
  self.texts[name] = bytes
  local size, hash = core.digest(bytes)
  self.files[name] = { size = size, hash = hash }
  return true
end

-- The machine that a program is for, as its ELF header has it.
local MACHINES = {
  [3] = "i386", [21] = "ppc64", [22] = "s390x", [40] = "arm", [62] = "x86_64", [183] = "aarch64", [243] = "riscv64",
}

local function machine_of(bytes)
  if bytes:sub(1, 4) ~= "\127ELF" or #bytes < 20 then return nil end
  local number = string.unpack(bytes:byte(6) == 2 and ">I2" or "<I2", bytes, 19)
  return MACHINES[number] or ("machine " .. number)
end

--- Goes through a release's files once.
-- @tparam table self gets `beams`, `texts`, `files`, `links` and `machine` filled
-- @return[1] true
-- @return[2] nil, message, code
function scan.files(self)
  return self.source:each {
    enters = enters,
    wants = kind_of,
    file = function(name, bytes)
      if not name:find(EMULATOR) then return read_text(self, name, bytes) end
      self.machine = machine_of(bytes)
      return true
    end,
    digest = function(name, size, hash, behaves)
      local into = name:find "%.beam$" and self.beams or self.files
      into[name] = { path = name, size = size, hash = hash, behaves = behaves or nil }
      return true
    end,
    -- What is known of another name of the same file; only where both end alike, since a module is called as its file.
    same = function(name, target)
      if name:match "[^/]+$" ~= target:match "[^/]+$" then return false end
      local beam, file = self.beams[target], self.files[target]
      self.texts[name] = self.texts[target]
      self.beams[name] = beam and { path = target, size = beam.size, hash = beam.hash, behaves = beam.behaves }
      self.files[name] = file and { path = target, size = file.size, hash = file.hash }
      return beam ~= nil or file ~= nil
    end,
    link = function(name, target) self.links[name] = target end,
  }
end

return scan
