--- A progress bar with rate and time left, on terminals only.
--
-- @classmod edeliver.relup.cli.progress

local core = require "edeliver.relup.core"

local progress = {}
progress.__index = progress

local WIDTH, EVERY = 30, 100 -- characters; ms between two pictures

--- Bytes for people: "12.3 MB".
function progress.bytes(count)
  local units, unit = { "B", "kB", "MB", "GB" }, 1
  while count >= 1000 and unit < #units do count, unit = count / 1000, unit + 1 end
  return (unit == 1 and "%d %s" or "%.1f %s"):format(count, units[unit])
end

--- Starts a bar.
-- @param out an output
-- @string what takes the time, in a word: "upload"
-- @tparam number total in bytes
function progress.new(out, what, total)
  return setmetatable({ out = out, what = what, total = total, started = core.now() }, progress)
end

--- Shows how far it is.
-- @tparam number done of the total
function progress:update(done)
  local now = core.now()
  if done < self.total and self.shown and now - self.shown < EVERY then return end
  self.shown = now
  local part = self.total > 0 and done / self.total or 1
  local rate = done / math.max(now - self.started, 1) * 1000
  local left = rate > 0 and (self.total - done) / rate or 0
  local bar = ("#"):rep(math.floor(part * WIDTH)) .. ("."):rep(WIDTH - math.floor(part * WIDTH))
  self.out:progress(("%s [%s] %3d%%  %s/s  %d s left"):format(self.what, bar, math.floor(part * 100), progress.bytes(rate),
    math.ceil(left)))
end

--- Takes the bar away.
function progress:finish() self.out:clear_progress() end

return progress
