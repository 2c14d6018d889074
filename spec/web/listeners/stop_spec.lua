local listeners = require "edeliver.relup.web.listeners"
local shared = require "support.shared"
local support = require "support.node"
local term = require "edeliver.relup.term"

describe("listeners.stop", function()
  local erlang = shared(support.start)

  -- A supervisor with three acceptors: one that waits, one that is busy for some ms before, and one that never waits. Each
  -- leaves in the table what it was doing last.
  local MAKE = [=[
    Form = fun(Text) ->
      {ok, Tokens, _} = erl_scan:string(Text), {ok, Parsed} = erl_parse:parse_form(Tokens), Parsed
    end,
    {ok, Module, Binary} = compile:forms(lists:map(Form, [
      "-module(edr_acceptors).",
      "-export([init/1, start/3, run/3]).",
      "init(Socket) -> {ok, {#{}, [#{id => Id, start => {edr_acceptors, start, [Id, Ms, Socket]}} "
      "|| {Id, Ms} <- [{quick, 0}, {busy, 10}, {never, infinity}]]}}.",
      "start(Id, Ms, Socket) -> {ok, proc_lib:spawn_link(edr_acceptors, run, [Id, Ms, Socket])}.",
      "run(Id, Ms, Socket) -> ets:insert(edr_acceptors, {Id, works}), receive after Ms -> ok end, "
      "ets:insert(edr_acceptors, {Id, waits}), gen_tcp:accept(Socket)."])),
    {module, Module} = code:load_binary(Module, "edr_acceptors.beam", Binary),
    Me = self(),
    spawn(fun() ->
      ets:new(edr_acceptors, [named_table, public]),
      {ok, Socket} = gen_tcp:listen(0, [{ip, {127, 0, 0, 1}}]),
      {ok, Sup} = supervisor:start_link(Module, Socket),
      Me ! {sup, Sup},
      receive stop -> ok end
    end),
    receive {sup, Sup} -> Sup end. ]=]

  it("terminates each while it waits, those that never do all the same, and keeps them all for later", function()
    local node <close> = erlang:connect()
    local sup = assert(node:eval(MAKE))
    local ids = { term.atom "quick", term.atom "busy", term.atom "never" }
    local answer = assert(node:call(table.unpack(listeners.stop(node, { sup, sup, sup }, ids))))
    assert.equal(term.atom "ok", answer)
    local children = assert(node:call("supervisor", "which_children", { sup }))
    assert.equal(3, #children)
    for _, row in ipairs(children) do assert.equal(term.atom "undefined", row[2]) end
    assert.equal("[{busy,waits},{never,works},{quick,waits}]", tostring(node:eval "lists:sort(ets:tab2list(edr_acceptors))."))
  end)
end)
