-- lua5.4 spec/consult/fuzz.lua [SECONDS [SEED]]: feeds consult with texts that were mutated by chance. Held against it: it never
-- raises and is never slow; what it refuses it says with a line, in printable words; what it reads it can write, and read back
-- as the same terms. No coverage guides it: the parser is Lua. What fails is printed, with the seed of the run.

local consult = require "edeliver.relup.consult"
local term = require "edeliver.relup.term"

local seconds, seed = tonumber(arg[1] or 2), tonumber(arg[2] or os.time())
math.randomseed(seed)

local seeds = {
  '{release,{"chat","2.0.0"},{erts,"13.1.5"},[{kernel,"8.5.3"},{stdlib,"4.2",permanent},{chat,"2.0.0",[a,b]}]}.\n',
  '%% coding: utf-8\n{"2.0.0",\n [{"1.0.0",[],[{load_object_code,{chat,"2.0.0",[\'Elixir.Chat\']}},point_of_no_return,\n'
    .. ' {suspend,[{\'Elixir.Chat\',infinity}]},{load,{m,brutal_purge,soft_purge}},{apply,{io,format,["~tp~n",[1]]}}]}],\n'
    .. ' [{"1.0.0",[],[]}]}.\n',
  "#{a => 1,<<\"b\">> => [2|c],3.5e-7 => {}}. -17. 16#fF. $a. $\\n. $\\x{41}. <<1,2:3,\"x\"/utf8>>. \"a\" \"b\".\n",
  "'quoted \\'atom\\' \\x{1F600}'. \"\\^A\\101\\s\\\"é\". 1_000. 2#1010. [1,2|[3]]. %comment\nok.",
}
for _, text in ipairs(seeds) do assert(consult.parse(text)) end

local words = { "{", "}", "[", "]", "(", ")", "|", ",", ".", ". ", "#{", "=>", "<<", ">>", "'", '"', "$", "\\", "\\x{", "\\^",
  "16#", "e", "1.0e", "_", "%", "%%\n", "\n", "\0", "\255", "\xC3", "\xC3\xA9", "\xF0\x9F\x98\x80", "\xED\xA0\x80",
  "-", "+", "/", ":", ":1", "fun", "end",
  "99999999999999999999999", "0.1", "1.0e400", "'", "~", "coding: latin-1", " ", "<<\"", "\">>", "37#z", "1#0", '"""' }
local openers = { "{", "[", "#{", "<<", "(", "[a|", "{a,", "#{a=>", "-", "'", '"a" ', "1,", "\\", "%", "$" }

local function pick(list) return list[math.random(#list)] end

local mutations = {
  function(text, at) return text:sub(1, at) .. pick(words) .. text:sub(at + 1) end,
  function(text, at) return text:sub(1, at) .. text:sub(at + math.random(1, 12)) end,
  function(text, at) return text:sub(1, at - 1) .. string.char(math.random(0, 255)) .. text:sub(at + 1) end,
  function(text, at) local other = pick(seeds); return text:sub(1, at) .. other:sub(math.random(#other)) end,
  function(text, at)
    return text:sub(1, at) .. text:sub(at, at + math.random(0, 40)):rep(math.random(1, 4)) .. text:sub(at + 1)
  end,
  function(text, at) return text:sub(1, at) .. pick(openers):rep(math.random(1, 3000)) .. text:sub(at + 1) end,
}

local function mutated()
  local text = pick(seeds)
  for _ = 1, math.random(1, 3) do
    if #text == 0 or #text > 30000 then break end
    -- Deep nesting is one in some twenty: it is slow to make.
    text = mutations[math.random() < 0.05 and 6 or math.random(5)](text, math.random(#text))
  end
  return text
end

local function check(text)
  local began = os.clock()
  local terms, message, code = consult.parse(text)
  local took = os.clock() - began
  assert(took < 2, "it took " .. took .. " s")
  if not terms then
    assert(code == "syntax" and message:find "line %d+" and not message:find "%c" and utf8.len(message), tostring(message))
    return false
  end
  local written = consult.write(terms)
  local again = assert(consult.parse(written))
  assert(#again == #terms, "another number of terms came back")
  for i = 1, #terms do assert(term.equal(terms[i], again[i]), "another term came back: " .. written) end
  return true
end

local runs, read = 0, 0
local finish = os.clock() + seconds
while os.clock() < finish do
  local text = mutated()
  local good, result = xpcall(check, debug.traceback, text)
  if not good then
    io.stderr:write(("seed %d, run %d:\n%s\nof the text (%d bytes) %q\n"):format(seed, runs, result, #text, text:sub(1, 2000)))
    os.exit(1)
  end
  runs, read = runs + 1, read + (result and 1 or 0)
end
print(("consult: %d executions, %d of them read"):format(runs, read))
