%% Restarts children, `[{Supervisor, Id}]`, each on its own: ok, or `{error, [{Supervisor, Id, Answer}]}`.
%% That a child runs already, or that its supervisor is dead, whose successor started anew, is what a restart wants.
-module(restart_children).
-export([run/1]).

run(Children) ->
  Failed = fun({Sup, Id}) ->
    try supervisor:restart_child(Sup, Id) of
      Started when element(1, Started) =:= ok -> [];
      {error, Same} when Same =:= running; Same =:= restarting -> [];
      Refused -> [{Sup, Id, Refused}]
    catch
      exit:{noproc, _} -> [];
      exit:Reason -> [{Sup, Id, {'EXIT', Reason}}]
    end
  end,
  case lists:append(lists:map(Failed, Children)) of [] -> ok; All -> {error, All} end.
