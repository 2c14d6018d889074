-- Relups that systools made, patched with our steps, and installed by the real release_handler in releases that carry modules of
-- edeliver's names: no operator is there. The order in which the steps ran is what the constraints ask for, up and down.

local chat = require "support.chat"
local consult = require "edeliver.relup.consult"
local instruction = require "edeliver.relup.instruction"
local modification = require "edeliver.relup.modification"
local ordering = require "edeliver.relup.sequence.ordering"
local process = require "support.process"
local relup = require "edeliver.relup"
local term = require "edeliver.relup.term"

local MARKERS = { soft_purge = true } -- edit in place, and leave no call

local function write_file(path, text)
  local file = assert(io.open(path, "w"))
  file:write(text)
  file:close()
end

local modules, name_of = {}, {}
for _, name in ipairs(instruction.names) do
  local module = instruction.load(name).module
  modules[#modules + 1], name_of[module] = module, name
end

-- A release with version 2.0.0 unpacked, whose relup `patch` has changed.
local function prepared(patch)
  local release = chat.start { next = { "2.0.0" } }
  assert(release:eval "release_handler:unpack_release(\"chat-2.0.0\")")
  local words = { "escript", process.root .. "/spec/support/edeliver/instructions.escript", release.root, "1.0.0", "2.0.0" }
  table.move(modules, 1, #modules, #words + 1, words)
  for i, word in ipairs(words) do words[i] = process.quote(word) end
  local printed, succeeded = process.output(table.concat(words, " ") .. " 2>&1")
  assert(succeeded, printed)
  local path = release.root .. "/releases/2.0.0/relup"
  write_file(path, consult.write { patch(assert(relup.read(path))[1]) })
  return release
end

-- Installs a version by release_handler alone; the names of the instructions that ran, with "install" where the code changed.
local function ran(release, version)
  assert(release:eval "persistent_term:put(ran, []), persistent_term:put(md5, erlang:get_module_info(chat_http, md5))")
  assert.matches("^{ok,", (assert(release:eval(("release_handler:install_release(\"%s\")"):format(version)))))
  local text = assert(release:eval
    "[{M, Md5 =:= persistent_term:get(md5)} || {M, Md5} <- lists:reverse(persistent_term:get(ran))]")
  local names, changed = {}, false
  for _, entry in ipairs(assert(consult.parse(text .. "."))[1]) do
    if not changed and entry[2] == false then
      names[#names + 1], changed = "install", true
    end
    names[#names + 1] = assert(name_of[entry[1].name])
  end
  return names
end

local function count(names)
  local counts = {}
  for _, name in ipairs(names) do counts[name] = (counts[name] or 0) + 1 end
  return counts
end

describe("a relup with steps inside", function()
  it("of the phoenix modification runs them in the order that they need, up and down", function()
    local config = { name = "chat", runtime = "edeliver" }
    local release <close> = prepared(function(original)
      return modification.apply(original, config, require "edeliver.relup.phoenix_modification")
    end)
    for _, version in ipairs { "2.0.0", "1.0.0" } do
      local names = ran(release, version)
      local right, message = ordering.check(names)
      assert.is_true(right, message)
      local counts = count(names)
      assert.equal(1, counts.install)
      assert.equal(6, counts.info) -- five sections, of which one has two messages
      for _, name in ipairs { "check_processes_running_old_code", "check_ranch_acceptors", "check_ranch_connections",
        "suspend_ranch_acceptors", "suspend_channels", "finish_running_requests", "rerun_failed_requests", "resume_channels",
        "resume_ranch_acceptors" } do
        assert.equal(1, counts[name], name .. " to " .. version)
      end
      assert.equal(version, release:version())
    end
  end)

  it("of a sequence runs them in its order, with OTP's own script where install stands", function()
    local steps = {
      "check_processes_running_old_code", "check_ranch_acceptors", "check_ranch_connections", "suspend_ranch_acceptors",
      "suspend_channels", "finish_running_requests", "soft_purge", "install", "rerun_failed_requests", "resume_channels",
      "resume_ranch_acceptors",
    }
    local release <close> = prepared(function(original)
      return relup.sequence(steps):patch(original, { name = "chat", runtime = "edeliver" })
    end)
    local expected = {}
    for _, name in ipairs(steps) do
      if not MARKERS[name] then expected[#expected + 1] = name end
    end
    assert.same(expected, ran(release, "2.0.0"))
    assert.same(expected, ran(release, "1.0.0"))
  end)

  it("of the user's own calls back through the guard, each in its place", function()
    local original = assert(consult.parse [[{"2.0.0",
      [{"1.0.0",[],[{load_object_code,{chat,"2.0.0",[chat_http]}},point_of_no_return,
                    {load,{chat_http,brutal_purge,brutal_purge}}]}],
      [{"1.0.0",[],[{load_object_code,{chat,"1.0.0",[chat_http]}},point_of_no_return,
                    {load,{chat_http,brutal_purge,brutal_purge}}]}]}.]])[1]
    local function run() return true end
    local patched = relup.sequence {
      { name = "look", section = "check", run = run }, { name = "stop", run = run }, "install", { name = "start", run = run },
    }:patch(original, { name = "chat" })
    local function call(name) return ("{apply,{gen_server,call,[edeliver_relup,{run,%s,[chat]},infinity]}}"):format(name) end
    -- Behind the point of no return a guard that is missing must not restart the node.
    local function caught(name)
      return ("{apply,{erl_eval,expr,[{'catch',0,{call,0,{remote,0,{atom,0,gen_server},{atom,0,call}},"
        .. "[{atom,0,edeliver_relup},{var,0,'Request'},{atom,0,infinity}]}},[{'Request',{run,%s,[chat]}}]]}}"):format(name)
    end
    for _, side in ipairs { 2, 3 } do
      local texts = {}
      for i, entry in ipairs(patched[side][1][3]) do texts[i] = term.format(entry) end
      assert.equal("{load_object_code", texts[1]:match "^{load_object_code")
      assert.same({
        call "look", "point_of_no_return", caught "stop", "{load,{chat_http,brutal_purge,brutal_purge}}", caught "start",
      }, { table.unpack(texts, 2) })
    end
  end)
end)
