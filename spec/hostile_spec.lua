-- A peer that lies, behind a real handshake (spec/support/hostile). Whatever it does, we get a code within the deadline, our
-- memory stays bounded, no descriptor stays open, and the same Lua state talks to an honest node afterwards.

local leaks = require "support.leaks"
local nodes = require "support.node"
local process = require "support.process"
local relup = require "edeliver.relup"
local shared = require "support.shared"

local DEADLINE <const> = 300
local GRACE <const> = 3500 * process.patience -- for a machine with other work, and for sanitizers; the faults took 5,000
local MOST_MEMORY <const> = 700 -- MiB. What it takes at most, in a frame of 256 MiB, is in docs/robustness.md
local sanitized <const> = process.sanitized

local function memory(field)
  return tonumber(process.read_file("/proc/self/status"):match(field .. ":%s*(%d+) kB")) / 1024
end

local function set(list)
  local made = {}
  for word in list:gmatch "%S+" do made[word] = true end
  return made
end

describe("a peer that lies", function()
  local peer, ports, open
  local honest = shared(nodes.start)
  setup(function()
    peer = process.start { command = { "escript", process.root .. "/spec/support/hostile/hostile.escript", honest.cookie } }
    assert(process.wait_until(function() return peer:printed():find "ready\n" end, 30000), "the peer did not start")
    ports = {}
    for name, port in peer:printed():gmatch "(%S+) (%d+)\n" do ports[name] = tonumber(port) end
  end)

  teardown(function() peer:stop() end)

  before_each(function() open = leaks.count_descriptors() end)

  after_each(function()
    local node <close> = honest:connect()
    assert.equal(honest.name, node:call("erlang", "node").name)
    node:close()
    assert.equal(open, leaks.count_descriptors())
    if not sanitized then assert.truthy(math.max(memory "VmHWM", memory "VmRSS") < MOST_MEMORY) end
  end)

  local function connect(name, timeout)
    return relup.connect("false@127.0.0.1", {
      cookie = honest.cookie, timeout = timeout or DEADLINE, port = assert(ports[name], name),
    })
  end

  -- One whose handshake is honest; what is tried begins behind it.
  local function connected(name) return assert(connect(name, 20000)) end

  -- What `act` gives, which must come in time.
  local function in_time(name, act)
    local before = process.now()
    local value, message, code = act()
    local took = process.now() - before
    assert.truthy(took < DEADLINE + GRACE, ("%s took %.0f ms"):format(name, took))
    return value, message, code
  end

  local function refused(name, codes, act)
    local value, message, code = in_time(name, act)
    assert.is_nil(value, name)
    assert.truthy(set(codes)[code], ("%s: %s, %s"):format(name, code, message))
    assert.truthy(#message > 20 and not message:find "%c", name)
  end

  -- One call on a connection of its own ends with one of these codes, or gives a value where `codes` is false.
  local function call(name, codes)
    local node <close> = connected(name)
    local function ask() return node:call("lists", "seq", { 1, 2 }, DEADLINE) end
    if codes then return refused(name, codes, ask) end
    return in_time(name, ask)
  end

  local function each_call(names, codes)
    for name in names:gmatch "%S+" do call(name, codes) end
  end

  it("in every phase of the handshake is noticed", function()
    local count = 0
    for name in pairs(ports) do
      local how = name:match "^handshake_([^_]+)"
      if how then
        count = count + 1
        local codes = { silence = "timeout", drip = "timeout", wrong = "auth", reset = "protocol auth nodedown refused" }
        refused(name, codes[how] or "protocol", function() return connect(name) end)
      end
    end
    assert.equal(26, count)
  end)

  it("sends bytes that no node sends: protocol", function()
    each_call([[tag_0 tag_1 tag_67 tag_68 tag_80 tag_82 tag_121 tag_255 compressed_control compressed_value no_pass_through
      fragment only_p not_a_tuple empty_tuple op_of_an_atom op_too_large too_few_elements send_without_payload bytes_behind
      monitor_exit_of_no_ref spawn_reply_of_no_ref atom_not_utf8 atom_surrogate atom_too_long]], "protocol")
  end)

  it("promises more than it sends: protocol, before memory is taken for it", function()
    local before = memory "VmRSS"
    each_call([[length_past_the_end list_past_the_end map_past_the_end tuple_without_elements bignum_past_the_end
      string_past_the_end fun_of_size_0]], "protocol")
    if not sanitized then assert.truthy(memory "VmRSS" < before + 16) end
  end)

  it("hangs up, keeps silent or drips: nodedown or timeout", function()
    each_call("cut_in_a_frame reset_in_a_frame reset_when_asked", "nodedown")
    each_call("silence drip drip_of_ticks large_frame_that_never_comes deaf", "timeout")
    local node = connect "reset_at_once" -- it may be gone before we are ready
    if node then
      refused("reset_at_once", "nodedown", function() return node:call("erlang", "node", {}, DEADLINE) end)
      node:close()
    end
  end)

  it("takes nothing of a large request: timeout", function()
    local node <close> = connected "deaf"
    local large = { ("x"):rep(20 << 20) }
    refused("deaf", "timeout", function() return node:call("erlang", "display", large, DEADLINE) end)
  end)

  it("sends too much: limit, and the connection lives on where the frame was whole", function()
    call("four_gib_frame", "limit")
    call("deep_control", "protocol limit")
    call("deep_reason", "limit")
    for name in ("deep_value deep_list_value many_small_parts"):gmatch "%S+" do
      local node <close> = connected(name)
      for _ = 1, 2 do
        local value, _, code = node:call("a", "b")
        assert.is_nil(value)
        assert.equal("limit", code, name)
      end
    end
  end)

  -- Each of these took half a minute, or ever, when a tail was copied for each list that it is the tail of.
  it("sends lists whose tails are lists: they are read in one go", function()
    local function length(name)
      local node <close> = connected(name)
      local before = process.now()
      local value = assert(node:call("a", "b", {}, 20000 * process.patience))
      assert.truthy(process.now() - before < 15000 * process.patience, name)
      assert.equal("list", relup.term.kind(value))
      assert.is_nil(value.tail)
      return #value, value[#value]
    end
    assert.same({ 1001000, 0 }, { length "long_tail_of_tails" })
    assert.same({ 66535, 200 }, { length "charlist_of_tails" })
    assert.same({ 200000, "200000" }, { length "many_binaries" })
  end)

  it("floods us: the call still ends in time", function()
    each_call("flood_of_mail flood_of_ticks flood_of_answers", "timeout")
    each_call("flood_of_printing flood_of_monitors", "timeout limit nodedown")
    local node <close> = connected "flood_of_mail"
    assert.is_nil((node:call("a", "b", {}, DEADLINE)))
    assert.is_true(node:sleep(DEADLINE))
    assert.equal(1000, #assert(node:receive(DEADLINE)))
    refused("flood_of_mail", "timeout", function() return node:call("a", "b", {}, DEADLINE) end)
  end)

  it("answers what was not asked, or twice, or as somebody else: only the answer counts", function()
    for name in ("unasked_answers answered_twice"):gmatch "%S+" do
      local node <close> = connected(name)
      for _ = 1, 3 do assert.equal("yes", assert(node:call("a", "b", {}, DEADLINE)).name) end
    end
    each_call("answer_of_another answer_of_no_class answer_cut_short answer_of_an_atom", "exit")
    call("spawn_refused", "error")
  end)

  it("answers in another shape: protocol, and nothing is raised", function()
    local release_handler, web = require "edeliver.relup.otp.release_handler", require "edeliver.relup.web"
    for name in ("integer charlist lists ok false"):gmatch "%S+" do
      local node <close> = connected("term_" .. name)
      for question, ask in pairs {
        releases = function() return release_handler.which_releases(node, DEADLINE) end,
        web = function() return web.find(node, "app") end,
        eval = function() return node:eval("1.", {}, DEADLINE) end,
        guard = function() return require("edeliver.relup.undo.guard").start(node) end,
      } do refused(name .. " to " .. question, "protocol", ask) end
      refused(name .. " to recover", "busy", function() return relup.recover(node) end)
    end
  end)

  it("says what would like to be printed: it is harmless when it gets there", function()
    local printed = {}
    local print = stub(_G, "print", function(text) printed[#printed + 1] = text end)
    finally(function() print:revert() end)
    local node <close> = connected "term_guard"
    relup.recover(node)
    assert.matches("started by evil\\x1B]0;owned\\x07 has lost its operator", table.concat(printed, "\n"), 1, true)
    local _, message = relup.recover(node, nil, { dry_run = true })
    assert.matches("evil\\x1B]0;owned\\x07", message, 1, true)
    local releases <close> = connected "term_releases"
    assert.same({ { name = "app\\x1B[2J", version = "1.0\\x9B2J\\x0A", status = "permanent" } },
      require("edeliver.relup.otp.release_handler").which_releases(releases))
  end)

  it("gives terms that JSON has not: the program says them as Erlang does", function()
    local home = process.temporary_folder()
    finally(function() process.remove_folder(home) end)
    local shown = require("cli.program").json("false@127.0.0.1 stuck --dist-port " .. ports.infos_of_terms,
      { env = { HOME = home, EDELIVER_RELUP_COOKIE = honest.cookie } })
    assert.equal(0, shown.code, shown.err)
    assert.equal("#{a => 1}", shown.json.result.suspended[1].memory)
  end)

  describe("that prints what it likes, and is listened to", function()
    -- A call while that is shown: what it gives, and the text.
    local function listen(name)
      local node <close> = connected(name)
      local shown, size = {}, 0
      node:on_output(function(text)
        size = size + #text
        if size < 1000 then shown[#shown + 1] = text end
      end)
      local value, _, code = in_time(name, function() return node:call("a", "b", {}, DEADLINE) end)
      for _ = 1, 3 do
        in_time(name, function() return node:sleep(0) end)
        in_time(name, function() return node:pump() end)
      end
      in_time(name, function() return node:on_output(nil) end)
      return value, code, table.concat(shown)
    end

    it("is answered what can be answered, and the call gets its answer", function()
      for name in ("print_for_nobody print_strange print_deep print_beside_formats"):gmatch "%S+" do
        local value, code, shown = listen(name)
        assert.equal("yes", value and value.name, ("%s: %s"):format(name, code))
        assert.equal("shown", (shown:gsub("^x*", "")), name)
      end
    end)

    -- Each of these took five seconds, half a minute, or ever.
    it("is heard no longer than the caller wants to wait", function()
      for name in ("print_formats print_formats_forever print_flood print_flood_of_formats print_owed"):gmatch "%S+" do
        local value, code = listen(name)
        assert.is_nil(value, name)
        assert.equal("timeout", code, name)
      end
    end)

    it("is owed so many answers, and no more: limit", function()
      local node <close> = connected "print_flood_of_owed"
      node:on_output(function() end)
      local message, code
      process.wait_until(function()
        local function ask() return node:call("a", "b", {}, DEADLINE) end
        message, code = select(2, in_time("print_flood_of_owed", ask))
        return code ~= "timeout"
      end, 10000)
      assert.equal("limit", code, message)
      assert.matches("asks more than it takes answers", message, 1, true)
    end)

    it("takes nothing of a large request: timeout", function()
      local node <close> = connected "deaf"
      node:on_output(function() end)
      local large = { ("x"):rep(20 << 20) }
      refused("deaf", "timeout", function() return node:call("erlang", "display", large, DEADLINE) end)
    end)
  end)

  describe("about many processes", function()
    local function ask(name)
      local node <close> = connected(name)
      local pids, message, code = node:processes(DEADLINE)
      if not pids then return { processes = code, message = message } end
      local answers = { pids = pids }
      for question, act in pairs {
        info = function() return node:process_info(pids, { "message_queue_len" }, DEADLINE) end,
        suspended = function() return node:suspended(pids, DEADLINE) end,
        suspend = function() return node:bulk_suspend(pids, DEADLINE) end,
      } do
        local value, second, third = in_time(name, act)
        answers[question] = value or third
        answers[question .. "_more"] = value and third
        if not value then assert.truthy(#second > 20, name) end
      end
      return answers
    end

    it("is believed where it tells the truth", function()
      local answers = ask "honest"
      assert.equal(3, #answers.pids)
      assert.equal(0, answers.info[3].message_queue_len)
      assert.equal(0, #answers.suspended)
      assert.equal("ok", answers.suspend)
    end)

    it("gives something else than processes: protocol", function()
      for name in ("atom improper of_integers foreign charlist past_the_end"):gmatch "%S+" do
        assert.equal("protocol", ask("processes_" .. name).processes, name)
      end
      local answers = ask "self_atom"
      assert.same({ "protocol", "protocol", "protocol" }, { answers.info, answers.suspended, answers.suspend })
    end)

    -- Some of these ended the whole program: what was no tuple was read as one.
    it("gives something else than process_info does: protocol", function()
      local count = 0
      for name in pairs(ports) do
        if name:find "^info_" then
          count = count + 1
          local answers = ask(name)
          assert.equal("protocol", answers.info, name)
          assert.equal("protocol", answers.suspended, name)
        end
      end
      assert.equal(17, count)
    end)

    -- Each process on its own was below the limit, and three of them were 919 MiB.
    it("gives more of all together than one term may have: limit, and the connection lives on", function()
      for name in ("much_info much_info_in_tails"):gmatch "%S+" do
        local node <close> = connected(name)
        local pids = assert(node:processes(DEADLINE))
        for _ = 1, 2 do
          local infos, message, code = node:process_info(pids, { "a" }, 20000 * process.patience)
          assert.is_true(infos == nil, name)
          assert.equal("limit", code)
          assert.matches("ask for fewer of them, or for fewer items", message)
        end
        assert.is_truthy(node:processes(DEADLINE))
      end
    end)

    it("answers requests that it was not sent, and not those that it was", function()
      local count = 0
      for name in pairs(ports) do
        if name:find "^slice_" and name ~= "slice_strange" then
          count = count + 1
          assert.equal("protocol", ask(name).suspend, name)
        end
      end
      assert.equal(14, count)
      local strange = ask "slice_strange"
      assert.equal("errors", strange.suspend)
      assert.same({ "error", "noproc", "timeout" },
        { strange.suspend_more[1].reason, strange.suspend_more[2].reason, strange.suspend_more[3].reason })
    end)
  end)
end)
