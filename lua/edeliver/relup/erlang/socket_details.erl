%% What is known of these processes, websockets, channels or other connections: `[{Peer, Topics, AgeMs}]` in their order, where
%% `undefined` and `[]` say that it is not known.
%%
%% The peer is that of the TCP socket that a process, or the process of its TLS, has a link to, and whose own port is among Ports:
%% a process may have other sockets. Topics lie in the registries of Phoenix.PubSub, each read once: with a fastlane, which says
%% the channel and the websocket behind it. When a socket was opened is known to ThousandIsland alone, which has it in the state
%% of a connection: asked for websockets with topics only, never of one that may run a request.
-module(socket_details).
-compile(nowarn_deprecated_catch).
-export([run/2]).

run(Pids, Ports) ->
  Wanted = maps:from_list([{Pid, true} || Pid <- Pids]),
  Names = [Name || Name <- ets:all(), is_atom(Name)],
  %% Elixir's Registry: row -2 has the kind and, of one partition, the table of keys; other partitions have rows of their own.
  IsDuplicate = fun(Kind) -> Kind =:= duplicate orelse is_tuple(Kind) andalso element(1, Kind) =:= duplicate end,
  Registries = [Name || Name <- Names, [{-2, Row}] <- [(catch ets:lookup(Name, -2))], is_tuple(Row), tuple_size(Row) =:= 3,
                        IsDuplicate(element(1, Row))],
  Keys = lists:usort([Key || Name <- Registries, {Number, Key} <-
    [{I, K} || {I, K, _} <- ets:tab2list(Name), is_integer(I)] ++ [{-2, element(3, Row)} || {-2, Row} <- ets:lookup(Name, -2)],
    Number >= -2, is_reference(Key) orelse is_atom(Key), ets:info(Key, size) =/= undefined]),
  %% Phoenix.PubSub 1: tables of their own.
  Locals = [Name || Name <- Names, re:run(atom_to_list(Name), "\\.Local[0-9]+$") =/= nomatch],
  Among = {'orelse', {is_map_key, '$2', {const, Wanted}}, {is_map_key, '$3', {const, Wanted}}},
  Joined = fun(Table, Fastlane) ->
    case (catch ets:select(Table, [{{'$1', {'$2', Fastlane}}, [Among], [{{'$1', '$2', '$3'}}]}])) of
      Rows when is_list(Rows) -> [Row || {Topic, _, _} = Row <- Rows, is_binary(Topic)];
      _ -> []
    end
  end,
  Rows = lists:append([Joined(Table, {fastlane, '$3', '_', '_'}) || Table <- Keys] ++
                      [Joined(Table, {'$3', '_', '_'}) || Table <- Locals]),
  Topics = lists:foldl(fun({Topic, Channel, Transport}, Known) ->
    lists:foldl(fun(Pid, Before) -> Before#{Pid => [Topic | maps:get(Pid, Before, [])]} end, Known,
                lists:usort([Channel, Transport]))
  end, #{}, Rows),
  Transports = maps:from_list([{Channel, Transport} || {_, Channel, Transport} <- Rows]),
  Transport = fun(Pid) -> maps:get(Pid, Transports, Pid) end,
  %% Where it is TLS, the port is that of a process that watches over its user.
  IsTls = fun(Pid) ->
    case process_info(Pid, dictionary) of
      {_, Entries} ->
        case proplists:get_value('$initial_call', Entries) of
          {Module, _, _} -> lists:member(lists:sublist(atom_to_list(Module), 4), ["tls_", "ssl_"]);
          _ -> false
        end;
      _ -> false
    end
  end,
  Owners = fun(Pid) ->
    Watching = case process_info(Pid, monitored_by) of {_, All} -> All; undefined -> [] end,
    [Pid | [By || By <- Watching, is_pid(By), node(By) =:= node(), IsTls(By)]]
  end,
  Text = fun({Address, Port}) ->
    Number = integer_to_list(Port),
    iolist_to_binary(case tuple_size(Address) of
      8 -> ["[", inet:ntoa(Address), "]:", Number];
      _ -> [inet:ntoa(Address), ":", Number]
    end)
  end,
  Peer = fun(Pid) ->
    Found = [Other || Owner <- Owners(Pid), {_, Links} <- [process_info(Owner, links)], Port <- Links, is_port(Port),
                      erlang:port_info(Port, name) =:= {name, "tcp_inet"}, {ok, {_, Here}} <- [(catch inet:sockname(Port))],
                      lists:member(Here, Ports), {ok, {Address, _} = Other} <- [(catch inet:peername(Port))], is_tuple(Address)],
    case Found of [One | _] -> Text(One); [] -> undefined end
  end,
  Now = erlang:monotonic_time(),
  Age = fun(Pid) ->
    case process_info(Pid, dictionary) of
      {_, Entries} ->
        case proplists:get_value('$initial_call', Entries) of
          {'Elixir.Bandit.DelegatingHandler', _, _} ->
            try sys:get_state(Pid, 200) of
              {#{'__struct__' := 'Elixir.ThousandIsland.Socket', span := #{start_time := Start}}, _} when is_integer(Start) ->
                erlang:convert_time_unit(Now - Start, native, millisecond);
              _ -> undefined
            catch _:_ -> silent
            end;
          _ -> undefined
        end;
      undefined -> undefined
    end
  end,
  Describe = fun(Pid, Silent) ->
    Own = lists:usort(maps:get(Pid, Topics, [])),
    Known = case Own =:= [] orelse Silent >= 3 of true -> undefined; false -> Age(Transport(Pid)) end,
    case Known of
      silent -> {{Peer(Transport(Pid)), Own, undefined}, Silent + 1};
      _ -> {{Peer(Transport(Pid)), Own, Known}, Silent}
    end
  end,
  element(1, lists:mapfoldl(Describe, 0, Pids)).
