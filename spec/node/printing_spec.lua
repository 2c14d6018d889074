-- What called functions print, shown to the operator: real nodes, Erlang's own io module.

local nodes = require "support.node"
local process = require "support.process"
local relup = require "edeliver.relup"
local shared = require "support.shared"
local atom, charlist, tuple = relup.term.atom, relup.term.charlist, relup.term.tuple

for _, rex in ipairs { false, true } do
  describe(rex and "output of calls through rex" or "output of calls", function()
    local node, shown

    local function show(text) shown[#shown + 1] = text end

    local erlang = shared(nodes.start)
    setup(function() node = erlang:connect { rex = rex } end)
    teardown(function() node:close() end)

    before_each(function()
      shown = {}
      node:on_output(show)
    end)

    after_each(function() node:on_output(nil) end)

    local function printed() return table.concat(shown) end

    it("is shown as it comes, before the call returns", function()
      local before_it_ended
      node:on_output(function(text)
        show(text)
        if text == "first\n" then before_it_ended = not node:call("erlang", "whereis", { atom "late" }).kind end
      end)
      assert.equal(atom "done", node:eval [[
        io:format("~s~n", ["first"]), timer:sleep(100), register(late, spawn(timer, sleep, [1000])),
        io:put_chars("second"), done.]])
      assert.equal("first\nsecond", printed())
      assert.is_true(before_it_ended)
    end)

    it("is the text that Erlang means, in every encoding", function()
      assert(node:call("io", "put_chars", { charlist "é€\u{1f600}\n" }))
      assert(node:call("io", "put_chars", { "é€\n" }))
      assert(node:call("io", "put_chars", { { "a", { charlist "b", 99, { "d" } }, 8364 } }))
      assert(node:eval "io:format(\"~ts ~p ~w~n\", [[8364], {a, <<\"b\">>, \"c\"}, \"c\"]).")
      assert(node:eval "io:put_chars([$x | <<\"tail\">>]).")
      assert(node:call("io", "nl"))
      assert(node:call("io", "write", { tuple { atom "a", 1 } }))
      assert.equal("é€\u{1f600}\né€\nabcd€€ {a,<<\"b\">>,\"c\"} [99]\nxtail\n{a,1}", printed())
    end)

    it("understands requests of old and of new kinds", function()
      local ask = [[
        G = group_leader(), R = make_ref(), G ! {io_request, self(), R, X},
        receive {io_reply, R, A} -> A after 3000 -> none end.]]
      local function asked(request) return tostring(node:eval(ask, { X = assert(node:eval(request)) })) end
      assert.equal("ok", asked "{put_chars, <<233, 10>>}.")
      assert.equal("ok", asked "{put_chars, latin1, [233, 10]}.")
      assert.equal("ok", asked "{put_chars, unicode, <<\"é\"/utf8, 10>>}.")
      assert.equal("ok", asked "{put_chars, lists, reverse, [\"ba\"]}.")
      assert.equal("ok", asked "{requests, [{put_chars, unicode, \"1\"}, {put_chars, unicode, io_lib, write, [{2}]}]}.")
      assert.equal("é\né\né\nab1{2}", printed())
      assert.equal("{error,{put_chars,unicode,no_characters}}", asked "{put_chars, unicode, no_characters}.")
      assert.equal("{error,put_chars}", asked "{put_chars, unicode, erlang, error, [oops]}.")
      assert.equal("{error,enotsup}", asked "{get_line, unicode, \"name? \"}.")
      assert.equal("ok", asked "{setopts, [binary]}.")
      assert.equal("é\né\né\nab1{2}", printed())
    end)

    it("survives that what is to be printed prints itself", function()
      assert(node:eval [=[
        io:request(group_leader(), {put_chars, unicode, erlang, apply, [fun() -> io:format("inner "), "outer" end, []]}).]=])
      assert.equal("inner outer", printed())
    end)

    -- A process of the node that prints what `apply` gives, and tells us what its `put_chars` was answered.
    local function print_later(what)
      local fun = assert(node:eval(([=[
        fun(To) -> To ! {answer, io:request(group_leader(), {put_chars, unicode, erlang, apply, [%s, []]})} end.
      ]=]):format(what)))
      assert(node:cast("erlang", "apply", { fun, { node:self() } }))
    end

    it("is formatted for as long as that takes, whoever waits meanwhile for something shorter", function()
      print_later [[fun() -> timer:sleep(300), "slow" end]]
      for _ = 1, 5 do
        assert.equal("timeout", select(3, node:call("timer", "sleep", { 200 }, 10)))
        node:sleep(10)
        assert(node:pump())
      end
      assert.equal("", printed())
      assert.equal("{answer,ok}", tostring(assert(node:receive(3000))))
      assert.equal("slow", printed())
    end)

    it("holds nobody up who has less to format", function()
      print_later [[fun() -> timer:sleep(1000), "slow" end]]
      node:sleep(50)
      assert.equal(7, node:eval "io:format(\"quick \"), 7.")
      assert.equal("quick ", printed())
      for _ = 1, 6 do print_later [[fun() -> timer:sleep(100), "more " end]] end
      for _ = 1, 7 do assert.equal("{answer,ok}", tostring(assert(node:receive(3000)))) end
      assert.equal("quick " .. ("more "):rep(6) .. "slow", printed())
    end)

    it("may be called for by the function that shows", function()
      node:on_output(function(text)
        show(text)
        if text ~= "outer" then return end
        assert.equal(atom "ok", node:call("io", "format", { charlist "~s", { charlist "inner" } }))
      end)
      assert.equal(1, node:eval "io:format(\"outer\"), 1.")
      assert.equal("outerinner", printed())
    end)

    it("is not kept without end when it calls for itself", function()
      node:on_output(function(text)
        show(text)
        node:call("io", "put_chars", { "again" }, 100)
      end)
      assert.equal(1, node:eval("io:put_chars(\"once\"), 1.", {}, 2000))
      assert.equal("once" .. ("again"):rep(3), printed():sub(1, 19))
      node:on_output(nil)
      assert.equal(2, node:eval "2.")
    end)

    it("of what is too deep to be read is not shown, and holds nobody up", function()
      assert.equal(5, node:eval [[
        D = lists:foldl(fun(_, A) -> [A] end, x, lists:seq(1, 3000)), io:format("~w", [D]), io:put_chars("after"), 5.]])
      assert.equal("after", printed())
      node:on_output(nil)
      assert.equal(6, node:eval [[
        D = lists:foldl(fun(_, A) -> [A] end, x, lists:seq(1, 3000)), io:format("~w", [D]), 6.]])
    end)

    it("of more than is kept is not shown, and holds nobody up", function()
      local size = 65 << 20
      assert.equal(atom "ok", node:eval(("io:put_chars(binary:copy(<<$x>>, %d))."):format(size), {}, 20000))
      assert.equal(5, node:eval "io:put_chars(\"after\"), 5.")
      assert.equal("after", printed())
    end)

    it("is served by whatever waits", function()
      assert(node:cast("io", "format", { charlist "cast~n", {} }))
      assert(node:sleep(200))
      assert.equal("cast\n", printed())
      assert(node:cast("erlang", "apply", { assert(node:eval [[
        fun(To) -> io:format("first"), To ! mail end.]]), { node:self() } }))
      assert.equal(atom "mail", node:receive(3000))
      assert.equal("cast\nfirst", printed())
      local request = assert(node:request("io", "format", { charlist "requested", {} }))
      assert.equal(atom "ok", node:await(request))
      assert.equal("timeout", select(3, node:receive(30)))
      assert.equal("timeout", select(3, node:call("timer", "sleep", { 200 }, 30)))
      assert.equal("cast\nfirstrequested", printed())
    end)

    it("prints a thousand lines in no time", function()
      local before = os.time()
      assert(node:eval("[io:format(\"~p~n\", [I]) || I <- lists:seq(1, 1000)], ok.", {}, 20000))
      assert.equal(1000, #shown)
      assert.equal("1000\n", shown[1000])
      assert.truthy(os.time() - before < 10 * process.patience)
    end)

    it("raises what the operator's function raises, and leaves the connection in order", function()
      node:on_output(function() error("no paper", 0) end)
      assert.has_error(function() node:eval "io:format(\"text\"), 1." end, "no paper")
      node:on_output(show)
      assert.equal(2, node:eval "io:format(\"more\"), 2.")
      assert.equal("more", printed())
    end)

    it("is not shown without a wish, and holds nobody up", function()
      node:on_output(nil)
      assert.equal(3, node:eval "io:format(\"unseen\"), 3.")
      assert.equal("", printed())
      node:on_output(show)
      assert(node:reconnect())
      assert.equal(4, node:eval "io:format(\"seen again\"), 4.")
      assert.equal("seen again", printed())
      assert.is_true(node:is_open())
      assert.equal("pid", relup.term.kind(node:self()))
      assert.truthy(#node:processes() > 10)
    end)
  end)
end
