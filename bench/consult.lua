-- Reading and writing a relup of 10 MB: ours beside file:consult and io_lib:format("~p"), on the same file in one run.
-- Medians of three; the ratios are what counts: ours over Erlang's, so below 1 is faster.
-- lua5.4 bench/consult.lua

package.path = "lua/?.lua;lua/?/init.lua;" .. package.path
local consult = require "edeliver.relup.consult"
local term = require "edeliver.relup.term"

local ROUNDS, MEGABYTES, WANTED = 3, 10, 1.0
local atom, tuple, list, charlist = term.atom, term.tuple, term.list, term.charlist

-- The instructions that systools makes of an application with so many changed modules.
local function script(modules)
  local instructions = {}
  for first = 1, #modules, 50 do
    local some = list(table.move(modules, first, math.min(first + 49, #modules), 1, {}))
    instructions[#instructions + 1] = tuple { atom "load_object_code", tuple { atom("app" .. first), charlist "1.4.6", some } }
  end
  instructions[#instructions + 1] = atom "point_of_no_return"
  for i, module in ipairs(modules) do
    local one = list { module }
    instructions[#instructions + 1] = tuple { atom "suspend", one }
    instructions[#instructions + 1] = tuple { atom "load", tuple { module, atom "brutal_purge", atom "soft_purge" } }
    instructions[#instructions + 1] = tuple { atom "code_change", atom "up", list { tuple { module, list {} } } }
    instructions[#instructions + 1] = tuple { atom "resume", one }
    if i % 10 == 0 then
      local arguments = list { charlist "upgrade ~p~n", list { module, i, "a binary", 1.5 } }
      instructions[#instructions + 1] = tuple { atom "apply", tuple { atom "io", atom "format", arguments } }
    end
  end
  return list(instructions)
end

local function make_relup(count)
  local modules = {}
  for i = 1, count do modules[i] = atom(("Elixir.MyApp.Module%d"):format(i)) end
  local entry = tuple { charlist "1.0.0", list {}, script(modules) }
  return tuple { charlist "2.0.0", list { entry }, list { entry } }
end

local function median(values)
  table.sort(values)
  return values[(#values + 1) // 2]
end

-- Processor seconds: other programs on the machine count less that way.
local function timed(work)
  local times, kept = {}, {}
  for i = 1, ROUNDS do
    kept.result = nil
    collectgarbage()
    local before = os.clock()
    kept.result = work()
    times[i] = os.clock() - before
  end
  return median(times), kept.result
end

local ERLANG = [[
  [Name] = init:get_plain_arguments(),
  Timed = fun(F) ->
    Times = [begin
      erlang:garbage_collect(),
      {T0, _} = statistics(runtime), F(), {T1, _} = statistics(runtime), T1 - T0
    end || _ <- lists:seq(1, %d)],
    lists:nth((length(Times) + 1) div 2, lists:sort(Times))
  end,
  Consult = Timed(fun() -> {ok, _} = file:consult(Name) end),
  {ok, Terms} = file:consult(Name),
  Format = Timed(fun() -> [io_lib:format("~p.~n", [T]) || T <- Terms] end),
  io:format("~p ~p~n", [Consult, Format]),
  halt().]]

local per_module = #consult.write { make_relup(500) } / 500
local text = consult.write { make_relup(math.ceil(MEGABYTES * 1e6 / per_module)) }
local path <const> = os.tmpname()
local handle = assert(io.open(path, "wb"))
handle:write(text)
handle:close()

local pipe = assert(io.popen(("erl -noinput -boot start_clean -eval '%s' -extra '%s'"):format(ERLANG:format(ROUNDS), path)))
local answer = pipe:read "a"
pipe:close()
os.remove(path)
local consulted, formatted = answer:match "^(%d+) (%d+)"
if not consulted then error("Erlang did not answer: " .. answer) end

local reading, terms = timed(function() return assert(consult.parse(text)) end)
local writing, written = timed(function() return consult.write(terms) end)
assert(written == text, "what was read is not written as it was")

local failed = false
local function report(what, ours, theirs, their_name)
  local ratio = ours / theirs
  failed = failed or ratio > WANTED
  print(("%-8s %5.1f MB: %.2f s, %s %.2f s, ratio %.2f (wanted: at most %.1f)"):format(
    what, #text / 1e6, ours, their_name, theirs, ratio, WANTED))
end
report("reading", reading, tonumber(consulted) / 1000, "file:consult")
report("writing", writing, tonumber(formatted) / 1000, 'io_lib:format("~p")')
os.exit(not failed)
