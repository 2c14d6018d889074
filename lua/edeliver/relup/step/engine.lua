--- What changes the code in an install: OTP's own engine, or the swap.
--
-- For the swap the relup on the node is another one until the install has ended: the same instructions, with those that a swap
-- takes over replaced by calls of it. Knows the relup and the swap, and no web server.
--
-- @module edeliver.relup.step.engine

local consult = require "edeliver.relup.consult"
local count = require "edeliver.relup.base.count"
local relup_on = require "edeliver.relup.otp.relup"
local fuse = require "edeliver.relup.script.fuse"
local supervision_trees = require "edeliver.relup.otp.supervision_trees"
local rehearsal = require "edeliver.relup.step.rehearsal"
local swap = require "edeliver.relup.step.swap"
local swap_words = require "edeliver.relup.step.swap_words"
local term = require "edeliver.relup.term"

local engine = {}

local KEY = "the relup for the swap"
local NAMES = { otp = true, swap = true }
local DEFAULT = "swap"

--- Raises where the configuration asks for what there is not.
-- @tparam table config `engine`: "swap" (default), or "otp"; `on_failed_code_change`: "rollback" (default) or "restart";
-- `max_stand_still` (ms that going back may take); `rehearse`: of how many processes of each module, or "all", the states are
-- tried beforehand
-- @tparam[opt=1] integer level who is to blame, as `error` takes it
function engine.check(config, level)
  level = (level or 1) + 1
  if config.engine ~= nil and not NAMES[config.engine] then
    error(('config.engine is "otp" or "swap", not %q'):format(tostring(config.engine)), level)
  end
  rehearsal.check(config.rehearse, level)
  local policy = config.on_failed_code_change
  if policy ~= nil and policy ~= "rollback" and policy ~= "restart" then
    error(('config.on_failed_code_change is "rollback" or "restart", not %q'):format(tostring(policy)), level)
  end
end

-- A relup with this entry alone, for the release handler to find in the place of the whole.
local function relup_of(target, up, script)
  local from, of = target.version, target.from
  if up then from, of = of, from end
  local entries = term.list { term.tuple { term.charlist(from), term.list {}, script } }
  local ups, downs = entries, term.list {}
  if not up then ups, downs = downs, ups end
  return consult.write { term.tuple { term.charlist(of), ups, downs } }
end

-- What stays with OTP, for the operator.
local function tell(ctx, fused)
  for _, left in ipairs(fused.left) do
    local last = left.position + left.count - 1
    local which = left.count == 1 and ("instruction %d"):format(last) or ("instructions %d to %d"):format(left.position, last)
    ctx:log("info", ("OTP's engine carries out %s of the relup: %s"):format(which, left.reason))
  end
end

-- Who has funs of code that is replaced: they work on, with the new code or with the old one, which then stays.
local function tell_of_funs(ctx, funs)
  for _, held in ipairs(funs) do
    if held.renewed then
      ctx:log("info", ("%s: funs of %s, which will run its new code"):format(held.who, held.module))
    else
      ctx:log("warning", ("%s: funs of %s. They keep its old code, which is purged when they are gone; until then the next "
        .. "upgrade of %s is refused"):format(held.who, held.module, held.module))
    end
  end
end

-- Where no VM can be started beside the node the upgrade is no worse than without a rehearsal; that is said.
local function rehearse(node, version, ctx, stops)
  if not ctx.config.rehearse then return true end
  local tried, message, code = rehearsal.rehearse(node, version, stops, ctx.config.rehearse)
  if tried then
    ctx:log("info", tried)
    if message then ctx:log("warning", message) end
  elseif code == "no_vm" then
    ctx:log("warning", message .. ". The upgrade continues without a rehearsal")
  else
    return nil, message, code
  end
  return true
end

-- What OTP's engine carries out alone, with nothing to purge and nothing to tell.
local OTP = {}
function OTP.arm() return true end
function OTP.reports() return {} end
function OTP.leave() return true end

local NEEDS_SWAP = 'config.target = "none" needs the swap: OTP\'s own engine would carry out this relup'

-- Why config.target = "none" cannot be: loading is not all that there is to do.
local function somebody_has_to_stop(node, fused, prepared)
  local changed = {}
  for _, stop in ipairs(prepared.found) do
    for _, row in ipairs(stop.processes) do
      if row.count > 0 then changed[#changed + 1] = ("%s of %s"):format(count.of(row.count, "process"), row.module) end
    end
  end
  if #changed > 0 then
    return ('config.target = "none" suspends nobody, but the code of running processes changes: %s. Use the default target. '
      .. "Nothing was changed on %s"):format(table.concat(changed, ", "), node.name), "needs_suspend"
  end
  if #fused.stops > 1 then
    return ('config.target = "none" loads all code at once, but this relup loads it in %d parts. Use the default target. '
      .. "Nothing was changed on %s"):format(#fused.stops, node.name), "needs_suspend"
  end
end

-- Puts a script in the place of the relup's own until the install has ended.
local function put(node, target, ctx, script)
  -- The one that was looked at may have been in the tarball.
  local on_node, message, code = relup_on.read(node, target.from, target.version)
  if not on_node then return nil, message, code end
  return ctx:overwrite(KEY, on_node.path, on_node.text, relup_of(target, on_node.up, script))
end

local function left_to_otp(node, target, ctx)
  local head = ctx.additions and ctx.additions.head or {}
  if #head == 0 or ctx.dry_run then return false end
  local script = table.move(head, 1, #head, 1, {})
  table.move(target.relup.script, 1, #target.relup.script, #script + 1, script)
  local done, message, code = put(node, target, ctx, term.list(script))
  if not done then return nil, message, code end
  return OTP
end

--- Prepares the swap where one is wanted and the relup allows it; everything but the relup on the node is as it was afterwards.
-- @param node
-- @tparam table target what `step.target` found: `from`, `version`, `relup`
-- @param ctx `ctx.config` as `check` takes it; `ctx.additions`, what no relup can say, as `script.fuse` takes it; remembers the
-- relup as it was
-- @return[1] a prepared swap; false where OTP's own engine does it all
-- @return[2] nil, message, code
function engine.prepare(node, target, ctx)
  local config = ctx.config
  if fuse.is_fused(target.relup.script) then
    return nil, ("The relup of %s on %s calls for the swap of an upgrade that was cut off. Put it back first: `edeliver-relup %s "
      .. "recover`, with the journal of that upgrade"):format(target.version, node.name, node.name), "left_over"
  end
  -- By hand, without a run, no guard is there for a swap to be bound to.
  local wanted = config.engine or (ctx.guard or ctx.dry_run) and DEFAULT or "otp"
  if wanted == "otp" then
    if config.target == "none" then return nil, NEEDS_SWAP, "badarg" end
    return left_to_otp(node, target, ctx)
  end
  local fused, message, code = fuse.script(target.relup.script, ctx.additions)
  if not fused and code == "no_point_of_no_return" and not (config.engine or ctx.additions or config.target == "none") then
    return left_to_otp(node, target, ctx) -- it restarts the emulator, or loads nothing
  end
  if not fused then return nil, message, code end
  -- Of a relup that a deploy has made nobody wants to know which instruction is carried out by whom.
  if not ctx.additions then tell(ctx, fused) end
  if #fused.stops == 0 then
    if config.target == "none" then return nil, NEEDS_SWAP, "badarg" end
    ctx:log(config.engine and "warning" or "info", "Nothing in the relup can be swapped: OTP's own engine changes all of it")
    return left_to_otp(node, target, ctx)
  end
  if ctx.dry_run then return false end
  local suspended = {}
  for _, stop in ipairs(fused.stops) do table.move(stop.suspend, 1, #stop.suspend, #suspended + 1, suspended) end
  local supervisors, problem, why, named = supervision_trees.walk(node, suspended)
  if not supervisors then return nil, problem, why end
  local rehearsed
  rehearsed, message, code = rehearse(node, target.version, ctx, fused.stops)
  if not rehearsed then return nil, message, code end
  local done
  done, message, code = put(node, target, ctx, fused.script)
  if not done then return nil, message, code end
  local prepared
  prepared, message, code = swap.prepare(node, {
    guard = ctx.guard.pid, token = ctx.guard.token, stops = fused.stops, timeout = config.code_change_timeout,
    on_failed = config.on_failed_code_change, named = named, max_stand_still = config.max_stand_still,
  })
  if not prepared and code == "sticky" and not config.engine and config.target ~= "none" then
    ctx:log("warning", message .. ": OTP's own engine changes all of it")
    done, message, code = ctx:undo(KEY)
    if not done then return nil, message, code end
    return left_to_otp(node, target, ctx)
  end
  if not prepared then return nil, message, code end
  if config.target == "none" then
    local refusal, as = somebody_has_to_stop(node, fused, prepared)
    if refusal then
      prepared:leave()
      return nil, refusal, as
    end
  end
  tell_of_funs(ctx, prepared.funs)
  return prepared
end

--- What a swap came to, once the install has ended; the relup on the node is as it was then.
-- @param ctx
-- @param prepared the swap
-- @return[1] the reports of `step.swap`, what they say in words, and whether one was refused
-- @return[2] nil, message, code
function engine.finish(ctx, prepared)
  local reports, message, code = prepared:reports()
  local back, problem, why = ctx:undo(KEY)
  prepared:leave()
  if not reports then return nil, message, code end
  if not back then return nil, problem, why end
  local words = {}
  local refused = false
  for i, report in ipairs(reports) do
    refused = refused or report.outcome ~= "ok"
    words[i] = report.outcome == "ok" and swap_words.done(report) or swap_words.refusal(report, prepared.node.name)
  end
  return reports, table.concat(words, "; "), refused
end

return engine
