--- Sites of cowboy 1, as Phoenix up to 1.3 has it. Its websockets answer no sys messages, so only their channels can be
-- suspended; those are in no supervisor, but linked to their websocket, which they name as their ancestor.
--
-- @classmod edeliver.relup.web.servers.cowboy_1

local shape = require "edeliver.relup.node.shape"
local site = require "edeliver.relup.web.site"
local ranch = require "edeliver.relup.web.listeners.ranch"

local cowboy_1 = site.extend()

local TIMEOUT = 30000 -- ms
local PIDS = shape.list(shape.pid)

-- The channels that are linked to websockets, and the websockets that have none.
local CHANNELS = [[
  IsChannel = fun(Pid, Websocket) ->
    case process_info(Pid, dictionary) of
      {_, Entries} ->
        proplists:get_value('$initial_call', Entries) =:= {'Elixir.Phoenix.Channel.Server', init, 1}
          andalso lists:prefix([Websocket], proplists:get_value('$ancestors', Entries, []));
      undefined -> false
    end
  end,
  Of = fun(Websocket) ->
    case process_info(Websocket, links) of
      {_, Links} -> [Pid || Pid <- Links, is_pid(Pid), node(Pid) =:= node(),
                            not lists:member(Pid, Sups), IsChannel(Pid, Websocket)];
      undefined -> []
    end
  end,
  Found = [{Pid, Of(Pid)} || Pid <- Pids],
  {lists:append([Channels || {_, Channels} <- Found]), [Pid || {Pid, []} <- Found]}.]]

-- Cowboy 1 runs requests in the connection's process; an idle one waits for the next request, outside of `execute`.
local REQUESTS = [[
  [Pid || Pid <- Pids, {_, Stack} <- [process_info(Pid, backtrace)],
          binary:match(Stack, <<"cowboy_protocol:execute">>) =/= nomatch].]]

--- As for other sites; and what is missing is never the protocol.
function cowboy_1:missing_connections()
  return self:missing("connections supervisor", function(listener)
    return listener.connection_sups and #listener.connection_sups > 0
  end)
end

--- As for other sites.
function cowboy_1:connections()
  local http, all, why = self:candidates()
  if not http then return nil, all, why end
  local none = self.node:pids {}
  if not self.endpoints or #all == 0 then return { http = http, websockets = all, idle = none, channels = none } end
  local bindings = { Pids = all, Sups = self:connection_supervisors() }
  local answer, message, code = shape.expect(self.node, "which channels its websockets have", shape.tuple(PIDS, PIDS),
    self.node:eval(CHANNELS, bindings, TIMEOUT))
  if not answer then return nil, message, code end
  local idle = self.node:pids(answer[2])
  return { http = http, websockets = all:minus(idle), idle = idle, channels = self.node:pids(answer[1]) }
end

--- Only channels can be had, by that name or by "auto".
function cowboy_1:target(target)
  local known, message, code = site.target(self, target)
  if not known then return nil, message, code end
  if target == "channels" or target == "auto" and self.endpoints then return "channels" end
  return nil, ("%s: the websockets of cowboy 1 answer no sys messages, so they cannot be suspended. config.target = \"channels\" "
    .. "suspends the channels of Phoenix behind them"):format(self:describe()), "not_supported"
end

--- The channels that are not known already.
function cowboy_1:new_targets(_, known)
  local found, message, code = self:connections()
  if not found then return nil, message, code end
  return found.channels:minus(known)
end

--- The connections that run a request now.
function cowboy_1:requests()
  local http, message, code = ranch.connections(self.node, self.listeners)
  if not http then return nil, message, code end
  if #http == 0 then return http end
  local answer
  answer, message, code = shape.expect(self.node, "which requests run", PIDS,
    self.node:eval(REQUESTS, { Pids = http }, TIMEOUT))
  if not answer then return nil, message, code end
  return self.node:pids(answer)
end

--- Nothing has to be hidden: what is suspended is in no supervisor.
function cowboy_1:hide() return self ~= nil end
cowboy_1.show = cowboy_1.hide

return cowboy_1
