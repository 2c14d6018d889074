--- Phoenix endpoints: which processes are one, told by what their module exports; and what their sockets allow their clients.
--
-- Knows no web server and no channels.
--
-- @module edeliver.relup.web.phoenix.endpoints

local shape = require "edeliver.relup.node.shape"
local term = require "edeliver.relup.term"

local endpoints = {}

local FOUND = shape.list(shape.tuple(shape.atom, shape.atom))

-- Registered supervisors whose module exports what an endpoint does, and whose application they belong to.
local FIND = [[
  Exports = fun(Name) ->
    lists:all(fun({F, N}) -> erlang:function_exported(Name, F, N) end,
              [{url, 0}, {static_url, 0}, {path, 1}, {static_path, 1}])
  end,
  IsSupervisor = fun(Name) ->
    case process_info(whereis(Name), dictionary) of
      {_, Entries} -> element(1, proplists:get_value('$initial_call', Entries, {none})) =:= supervisor;
      undefined -> false
    end
  end,
  [{Name, case application:get_application(whereis(Name)) of {ok, App} -> App; undefined -> undefined end}
   || Name <- registered(), Exports(Name), is_pid(whereis(Name)), IsSupervisor(Name)].]]

--- The applications whose endpoints are meant: the one that is upgraded, and in an umbrella those of `config.applications`.
-- @string name
-- @tparam table config
-- @return a set: name = true
function endpoints.applications(name, config)
  local names = { [name] = true }
  for _, other in ipairs(config.applications or {}) do names[term.kind(other) == "atom" and other.name or other] = true end
  return names
end

--- Every endpoint that runs on the node.
-- @return[1] a list of `{ name = atom, app = string }`
-- @return[2] nil, message, code
function endpoints.all(node)
  local answer, message, code = shape.expect(node, "which endpoints it has", FOUND, node:eval(FIND))
  if not answer then return nil, message, code end
  local found = {}
  for i, row in ipairs(answer) do found[i] = { name = row[1], app = shape.to_text(row[2]) } end
  return found
end

--- The endpoints of these applications.
-- @param node
-- @tparam table applications what `applications` gave
-- @return[1] a list of atoms
-- @return[2] nil, message, code
function endpoints.of(node, applications)
  local all, message, code = endpoints.all(node)
  if not all then return nil, message, code end
  local names = {}
  for _, endpoint in ipairs(all) do
    if applications[endpoint.app] then names[#names + 1] = endpoint.name end
  end
  return names
end

-- The idle timeouts of websockets as the endpoints declare them: a number, a default, or infinity.
local TIMEOUTS = [[
  Sockets = lists:append([E:'__sockets__'() || E <- Endpoints, erlang:function_exported(E, '__sockets__', 0)]),
  Options = [proplists:get_value(websocket, Opts, true) || {_, _, Opts} <- Sockets, is_list(Opts)],
  [case Given of true -> 60000; List -> proplists:get_value(timeout, List, 60000) end || Given <- Options, Given =/= false].]]

--- After how long a silence the endpoints close a websocket: the shortest that their sockets declare.
-- @return[1] ms, or nil where none is declared
-- @return[2] nil, message, code
function endpoints.idle_timeout(node, names)
  local answer, message, code = shape.expect(node, "after what time its sockets are closed", shape.list(),
    node:eval(TIMEOUTS, { Endpoints = names }))
  if not answer then return nil, message, code end
  local shortest
  for _, value in ipairs(answer) do
    if math.type(value) == "integer" then shortest = math.min(shortest or value, value) end
  end
  return shortest
end

-- Long polling has one process for each client, below a supervisor of Phoenix's own: Phoenix.Transports.LongPoll.Supervisor, or
-- up to 1.3 MyApp.Endpoint.LongPoll.Supervisor.
local POLLS = [[
  Sups = [Name || Name <- registered(), lists:suffix(".LongPoll.Supervisor", atom_to_list(Name))],
  lists:sum([proplists:get_value(active, supervisor:count_children(Sup), 0) || Sup <- Sups]).]]

--- How many clients poll, on the whole node; they are left alone.
-- @return[1] a number
-- @return[2] nil, message, code
function endpoints.count_polls(node)
  return shape.expect(node, "how many clients poll", shape.integer, node:eval(POLLS))
end

return endpoints
