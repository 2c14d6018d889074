%% Restarts children, `[{Supervisor, Id}]`, each on its own: ok, or `{error, [{Supervisor, Id, Answer}]}`.
%% Nothing is to be restarted where a child runs already, where its specification was removed, or where its supervisor is dead: its
%% successor started anew.
-module(restart_children).
-export([run/1]).

run(Children) ->
  Failed = fun({Sup, Id}) ->
    try supervisor:restart_child(Sup, Id) of
      Started when element(1, Started) =:= ok -> [];
      {error, Same} when Same =:= running; Same =:= restarting; Same =:= not_found -> [];
      Refused -> [{Sup, Id, Refused}]
    catch
      exit:{noproc, _} -> [];
      exit:Reason -> [{Sup, Id, {'EXIT', Reason}}]
    end
  end,
  case lists:append(lists:map(Failed, Children)) of [] -> ok; All -> {error, All} end.
