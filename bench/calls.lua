-- How long a call of erlang:node/0 takes, from Lua and from another node; an evaluation of Erlang text, in one call and in three;
-- and the whole of a program that starts, connects, calls and ends, ours beside erl_call. In turn, medians.
-- lua5.4 bench/calls.lua

package.path = "lua/?.lua;lua/?/init.lua;spec/?.lua;bench/?.lua;" .. package.path
local relup = require "edeliver.relup"
local core = require "edeliver.relup.core"
local measure = require "lib.measure"
local nodes = require "lib.nodes"
local process = require "support.process"

local BLOCK, BLOCKS = 500, 21 -- calls in one measurement, and how many of those
local STARTS = 41
local WANTED = { over_rpc = 1, first_answer = 15 }

local report = measure.report()

local started, node = nodes.start "called"
local other_started, other = nodes.start("calling", started)
local _ <close> = started
local _ <close> = other_started

-- ---- the call alone ----

local function from_another_node(module)
  local arguments = { relup.term.atom(module), relup.term.atom(node.name), BLOCK }
  return function() return assert(other:call("inside", "calls", arguments, math.huge)) / BLOCK end
end

local function from_here()
  local took = measure.timed(function()
    for _ = 1, BLOCK do assert(node:call("erlang", "node")) end
    return true
  end)
  return took * 1000 / BLOCK
end

local taken = measure.in_turn({ from_here, from_another_node "rpc", from_another_node "erpc" }, BLOCKS)
local ours, rpc, erpc = taken[1][1], taken[2][1], taken[3][1]
report:line(("a call: ours %.0f us, rpc:call from another node %.0f us, erpc:call %.0f us; ours/rpc %.2f"):format(
  ours, rpc, erpc, ours / rpc), { "ours/rpc", ours / rpc, "at most", WANTED.over_rpc })

-- ---- an evaluation ----

local TEXT = [[
  Failed = fun({Sup, Id}) ->
    try supervisor:restart_child(Sup, Id) of
      Started when element(1, Started) =:= ok -> [];
      {error, Same} when Same =:= running; Same =:= restarting -> [];
      Refused -> [{Sup, Id, Refused}]
    catch
      exit:{noproc, _} -> []
    end
  end,
  case lists:append(lists:map(Failed, Children)) of [] -> ok; All -> {error, All} end.]]
local EVALUATIONS = 50 -- in one measurement

local function evaluations(evaluate)
  return function()
    local took = measure.timed(function()
      for _ = 1, EVALUATIONS do assert(evaluate()) end
      return true
    end)
    return took * 1000 / EVALUATIONS
  end
end

local function in_three_calls()
  local term = relup.term
  local tokens = assert(node:call("erl_scan", "string", { term.charlist(TEXT) }))[2]
  local forms = assert(node:call("erl_parse", "parse_exprs", { tokens }))[2]
  local bound = term.list { term.tuple { term.atom "Children", {} } }
  return node:call("erl_eval", "exprs", { forms, bound })
end

taken = measure.in_turn({
  evaluations(function() return node:run("restart_children", { Children = {} }) end),
  evaluations(function() return node:eval(TEXT, { Children = {} }) end), evaluations(in_three_calls),
}, BLOCKS)
report:line(("an evaluation of %d bytes: a module of ours %.0f us, text %.0f us; in three calls %.0f us"):format(
  #TEXT, taken[1][1], taken[2][1], taken[3][1]), { "one call/three", taken[1][1] / taken[3][1], "at most", 1 })

-- ---- from nothing ----

-- Says when it had loaded everything, when it was connected, and when it had the first answer.
local PROGRAM = [[
  local relup, core = require "edeliver.relup", require "edeliver.relup.core"
  require "edeliver.relup.node"
  local loaded = core.now()
  local node = assert(relup.connect(arg[1], { cookie = arg[2], epmd_port = tonumber(arg[3]) }))
  local connected = core.now()
  assert(node:call("erlang", "node"))
  print(("%.3f %.3f %.3f"):format(loaded, connected, core.now()))]]

-- Runs a shell command that becomes one program, to its end: what it printed, when it was started and how long it took, in ms.
-- The shell is part of that, in all of them.
local function run(command)
  local before = core.now()
  local pipe = assert(io.popen(command))
  local printed = pipe:read "a"
  assert(pipe:close(), command)
  return printed, before, core.now() - before
end

local script = os.tmpname()
local file = assert(io.open(script, "w"))
file:write(PROGRAM)
file:close()

local our_command = ("exec lua5.4 %s %s %s %d"):format(
  process.quote(script), process.quote(node.name), process.quote(started.cookie), started.epmd_port)
local their_command = ("ERL_EPMD_PORT=%d exec erl_call -r -name %s -c %s -a 'erlang node'"):format(
  started.epmd_port, process.quote(node.name), process.quote(started.cookie))

local function our_program()
  local printed, before, took = run(our_command)
  local loaded, connected, answered = printed:match "^(%S+) (%S+) (%S+)"
  return took, loaded - before, connected - loaded, answered - connected, answered - before
end

local function erl_call()
  local printed, _, took = run(their_command)
  assert(printed:find(node.name, 1, true), printed)
  return took
end

local function empty_program()
  local _, _, took = run "exec lua5.4 -e ''"
  return took
end

taken = measure.in_turn({ our_program, erl_call, empty_program }, STARTS)
os.remove(script)
local whole, loading, connecting, calling, answer = table.unpack(taken[1])
local theirs, empty = taken[2][1], taken[3][1]
report:line(("a program that starts, connects, calls and ends: ours %.1f ms, erl_call %.1f ms, lua that does nothing %.1f ms; "
  .. "ours/erl_call %.2f"):format(whole, theirs, empty, whole / theirs))
report:line(("from the start of lua to the first answer: %.1f ms (started and loaded %.1f, connected %.1f, called %.1f)"):format(
  answer, loading, connecting, calling), { "first answer", answer, "at most", WANTED.first_answer })
report:exit()
