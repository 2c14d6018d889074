%% The Phoenix endpoints of the node, and whose they are: `[{Name, Application}]`. An endpoint is a registered supervisor whose
%% module exports what an endpoint does.
-module(phoenix_endpoints).
-export([run/0]).

run() ->
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
   || Name <- registered(), Exports(Name), is_pid(whereis(Name)), IsSupervisor(Name)].
