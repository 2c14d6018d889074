--- A deploy as it is planned: the release that was read, under a name of its own where it needs one, what changes against the
-- node, and the relup. Asks the node, and changes nothing.
--
-- @classmod edeliver.relup.deploy.planned

local count = require "edeliver.relup.base.count"
local plan = require "edeliver.relup.plan"
local release = require "edeliver.relup.release"
local release_handler = require "edeliver.relup.otp.release_handler"
local ship = require "edeliver.relup.deploy.ship"

local planned = {}
planned.__index = planned

local WHY_NOT_NOW = "Nothing was changed"
local ROUNDS = 4 -- of giving names: a name may hide what another round finds

-- Reasons that nothing overrides: with them no code of the new release would run.
local FINAL = { erts_changed = true, machine_changed = true }
local CORE = { kernel = true, stdlib = true, sasl = true }

local function is_final(reason)
  return FINAL[reason.code] or reason.code == "core_application_changed" and CORE[reason.place] == true
end

-- The applications whose version nobody has bumped, as a set; nil where there are none that are not in `names`.
local function unbumped(made, names)
  local found
  for _, it in ipairs(made.applications) do
    if it.change == "changed_under_same_version" and not names[it.name] then
      found = found or {}
      found[it.name] = true
    end
  end
  return found
end

local function nothing_changes(made)
  for _, kind in ipairs { "changed", "added", "removed" } do
    for _, what in ipairs { "modules", "files", "configuration" } do
      if #made[what][kind] > 0 then return false end
    end
  end
  return true
end

local function same_version(node, self)
  if nothing_changes(self.plan) then
    return nil, ("%s runs %s already, with this very content"):format(node.name, self.from), "already_installed"
  end
  return nil, ("%s runs %s already, and this release has other content: give it another name with --version-suffix, or build it "
    .. "with another version. %s"):format(node.name, self.version, WHY_NOT_NOW), "version_unchanged"
end

-- What has to be sent, and which applications need a name of their own before that: the node has other files under theirs.
local function look_at_disk(self, node)
  local compared, message, code = ship.compare(node, self.release)
  if compared then
    self.compared = compared
    return next(compared.rename) and compared.rename or false
  elseif code == "same_version" then
    return false
  end
  return nil, message, code
end

-- Compares with what lies on the node's disk and with what runs; where versions hide a change, again under the names that the
-- deploy gives. The disk first: that is quick, and mostly tells.
local function compare(self, node, options)
  local names, version = {}, self.is_same and options.version_suffix or nil
  for round = 1, ROUNDS do
    local message, code
    if version or round > 1 then
      local renamed = require "edeliver.relup.release.renamed"
      self.release, message, code = renamed.of(self.opened, { applications = names, version = version })
      if not self.release then return nil, message, code end
    end
    local unnamed
    if self.is_same and not version then unnamed = false else unnamed, message, code = look_at_disk(self, node) end
    if unnamed == nil then return nil, message, code end
    if not unnamed then
      self.plan, message, code = plan.compare(node, self.release, {
        -- What runs already starts no child anew.
        start_children = (not self.is_same or version) and options.start_children or nil, asked_again = true,
      })
      if not self.plan then return nil, message, code end
      unnamed = not (self.is_same and not version) and unbumped(self.plan, names)
    end
    if not unnamed then return true end
    for name in pairs(unnamed) do names[name] = true end
  end
  return nil, ("%s has other files on %s, under every name that the deploy could give them"):format(self.opened.path, node.name),
    "stale"
end

--- Plans.
-- @param node
-- @tparam string|table what the release: a path, or one that was opened
-- @tparam[opt] table options `version_suffix` (a version that runs already and has other content gets a name of its own),
-- `start_children` (children of applications that are started by hand)
-- @return[1] `{ release =, plan =, compared = (of `deploy.ship`), from =, version =, name =, relup = its text }`
-- @return[2] nil, message, code: "not_a_release", "other_release", "version_unchanged", "already_installed", …
function planned.make(node, what, options)
  options = options or {}
  local opened, message, code = what, nil, nil
  if type(what) == "string" then opened, message, code = release.open(what) end
  if not opened then return nil, message, code end
  local now
  now, message, code = release_handler.current(node)
  if not now then return nil, message, code end
  local self = setmetatable({
    opened = opened, release = opened, node = node, is_same = now.name == opened.name and now.version == opened.version,
  }, planned)
  local done
  done, message, code = compare(self, node, options)
  if not done then return nil, message, code end
  self.from, self.version, self.name = self.plan.from.version, self.plan.to.version, self.plan.to.name
  if self.is_same and (self.from == self.version or nothing_changes(self.plan)) then return same_version(node, self) end
  local relup
  relup, message, code = plan.relup { self.plan }
  if not relup then return nil, message, code end
  self.relup = relup.text
  return self
end

--- Whether it may be carried out.
-- @param anyway reasons to restart instead do not count, but for those that leave no choice
-- @return[1] true; and the reasons that were overridden, a list
-- @return[2] nil, message with each reason, "cold"
function planned:allowed(anyway)
  local cold, final = {}, {}
  for _, reason in ipairs(self.plan.reasons) do
    if reason.level == "cold" then
      cold[#cold + 1] = reason
      if is_final(reason) then final[#final + 1] = reason end
    end
  end
  local why = anyway and final or cold
  if #why == 0 then return true, cold end
  local words = {}
  for i, reason in ipairs(why) do words[i] = ("%s %s"):format(reason.text, reason.next) end
  return nil, ("%s to %s cannot be hot, for %s: %s%s. %s"):format(self.from, self.version, count.of(#why, "reason"),
    (table.concat(words, " "):gsub("%.$", "")), #final == 0 and ". `--anyway` overrides that" or "", WHY_NOT_NOW), "cold"
end

--- Whether the node still runs what was planned for.
-- @return[1] true
-- @return[2] nil, message, code
function planned:look_again()
  local now, message, code = release_handler.current(self.node)
  if not now then return nil, message, code end
  if now.version == self.from then return true end
  return nil, ("%s runs %s now, and %s when this was planned. %s"):format(self.node.name, now.version, self.from, WHY_NOT_NOW),
    "stale"
end

return planned
