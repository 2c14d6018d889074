%% Every listener of ranch: `[{Ref, Supervisor, Port, {ok, Application} | undefined, Endpoints}]`, or none where ranch does not
%% run. Endpoints are those of its ancestors that export what a Phoenix endpoint does. Ranch 1.3 keeps no listeners' supervisors
%% in its table, but those of the connections, right below them.
-module(ranch_listeners).
-export([run/0]).

run() ->
  IsEndpoint = fun(A) ->
    is_atom(A) andalso lists:all(fun({F, N}) -> erlang:function_exported(A, F, N) end,
                                 [{url, 0}, {static_url, 0}, {path, 1}, {static_path, 1}])
  end,
  Ancestors = fun(S) ->
    case process_info(S, dictionary) of
      {_, D} -> proplists:get_value('$ancestors', D, []);
      undefined -> []
    end
  end,
  Port = fun(R) -> try ranch:get_port(R) catch _:_ -> undefined end end,
  Supervisors = fun() ->
    case ets:match(ranch_server, {{listener_sup, '$1'}, '$2'}) of
      [] -> [[R, S] || [R, Conns] <- ets:match(ranch_server, {{conns_sup, '$1'}, '$2'}), [S | _] <- [Ancestors(Conns)]];
      Listed -> Listed
    end
  end,
  case ets:info(ranch_server, size) of
    undefined -> none;
    _ -> [{R, S, Port(R), application:get_application(S), [A || A <- Ancestors(S), IsEndpoint(A)]}
          || [R, S] <- Supervisors(), is_pid(S)]
  end.
