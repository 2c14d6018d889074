--- Whom a run must not suspend, found out before anybody is.
--
-- Supervisors: whoever asks them for their children then waits forever. Processes of kernel and sasl, and our own: the node
-- or the run would stand still. And, where a release will be installed, processes that their parent types `supervisor`: the
-- release handler asks those for children past the point of no return, and the node restarts. Knows no web server.
--
-- @module edeliver.relup.step.must_not_suspend

local shape = require "edeliver.relup.node.shape"

local must_not_suspend = {}

local TIMEOUT = 30000 -- ms

-- Compiled functions do what is done for each process; only what stands out is looked at one by one. A supervisor is typed so
-- by its parent, which is asked once for all its children; whoever has no such parent is looked at itself. DynamicSupervisor
-- shows itself as a supervisor, too; ranch_conns_sup answers which_children as one.
local LOOK = [=[
  Read = fun(Item) -> lists:zipwith(fun erlang:process_info/2, Pids, lists:duplicate(length(Pids), Item)) end,
  Find = fun(Among, Infos, Wanted) ->
    case lists:any(Wanted, lists:usort(Infos)) of
      true -> [Pid || {Pid, Info} <- lists:zip(Among, Infos), Wanted(Info)];
      false -> []
    end
  end,
  SupervisorsAmong = fun(Among) ->
    Find(Among, lists:map(fun proc_lib:translate_initial_call/1, Among),
         fun({M, _, _}) -> lists:member(M, [supervisor, supervisor_bridge, ranch_conns_sup]); (_) -> false end)
  end,
  Masters = [whereis(init) | [application_controller:get_master(App) || App <- [kernel, sasl]]],
  Core = [whereis(Name) || Name <- [application_controller, logger, user]],
  System = [Pid || Pid <- Core, lists:member(Pid, Pids)]
    ++ Find(Pids, Read(group_leader), fun({group_leader, Leader}) -> lists:member(Leader, Masters); (_) -> false end),
  Guards = [Pid || Pid <- [whereis(edeliver_relup)], lists:member(Pid, Pids)],
  %% Before OTP 25 only the dictionary knows.
  Ancestor = fun(Pid) ->
    case process_info(Pid, dictionary) of
      {dictionary, Dictionary} ->
        case lists:keyfind('$ancestors', 1, Dictionary) of
          {_, [Name | _]} when is_atom(Name) -> {parent, whereis(Name)};
          {_, [First | _]} -> {parent, First};
          _ -> {parent, undefined}
        end;
      undefined -> undefined
    end
  end,
  Infos = try Read(parent) catch error:badarg -> lists:map(Ancestor, Pids) end,
  Above = SupervisorsAmong([P || {parent, P} <- lists:usort(Infos), is_pid(P), node(P) =:= node()]),
  Loose = case Above of
    [] -> Pids;
    _ -> Find(Pids, Infos, fun({parent, P}) -> not lists:member(P, Above); (_) -> false end)
  end,
  Typed = lists:append([case lists:keymember(supervisor, 3, Children) of
      false -> [];
      true -> sets:to_list(sets:intersection(sets:from_list(Pids), sets:from_list([P || {_, P, supervisor, _} <- Children])))
    end || Children <- lists:map(fun supervisor:which_children/1, Above)]),
  Supervisors = SupervisorsAmong(Typed ++ Loose),
  [{Kind, length(Found), lists:sublist(Found, 3)}
    || {Kind, Found} <- [{guard, Guards}, {system, System}, {supervisor, Supervisors}, {typed, [P || P <- Typed, Installs]}],
       Found =/= []].
]=]

local REASONS = {
  guard = "it is the guard itself",
  system = "it belongs to kernel or sasl, without which the node stands still",
  supervisor = "it is a supervisor: whoever asks it for its children would wait forever",
  typed = "its parent types it supervisor: the release handler would ask it for children past the point of no return, and the "
    .. "node would restart",
}

local function has_reason(value) return shape.atom(value) and REASONS[value.name] ~= nil end
local FOUND = shape.list(shape.tuple(has_reason, shape.integer, shape.list(shape.pid)))

--- Whether all these processes may be suspended.
-- @param node
-- @param pids a pid set
-- @tparam boolean installs whether a release will be installed meanwhile
-- @return[1] true
-- @return[2] nil, message, code: "not_suspendable" with the first of them and why
function must_not_suspend.check(node, pids, installs)
  if #pids == 0 then return true end
  local found, message, code = shape.expect(node, "whom nobody may suspend", FOUND,
    node:eval(LOOK, { Pids = pids, Installs = installs and true or false }, TIMEOUT))
  if not found then return nil, "whether these processes may be suspended is not known: " .. message, code end
  if #found == 0 then return true end
  local kind, count, examples = found[1][1].name, found[1][2], found[1][3]
  return nil, ("%d of %d processes must not be suspended, as %s: %s. Nobody was suspended"):format(
    count, #pids, tostring(examples[1]), REASONS[kind]), "not_suspendable"
end

return must_not_suspend
