%% Starts children in the top supervisors of applications that run: Children is `[{Application, Spec}]`, in order. Where one fails,
%% those before it are ended again. `{ok, [{Application, Id}]}` of those that were started, which are remembered as long as the VM
%% lives (see remembered_children); one that runs already is left out. `{error, Application, Id, Reason}`.
-module(start_children).
-export([run/1]).

run(Children) ->
  Top = fun(Application) ->
    {Pid, _} = application_master:get_child(application_controller:get_master(Application)),
    Pid
  end,
  IdOf = fun(#{id := Id}) -> Id; (Spec) -> element(1, Spec) end,
  Start = fun(Application, Spec) ->
    try supervisor:start_child(Top(Application), Spec) of
      {error, {already_started, _}} -> already;
      {error, already_present} -> supervisor:restart_child(Top(Application), IdOf(Spec));
      Other -> Other
    catch Class:Reason -> {error, {Class, Reason}}
    end
  end,
  End = fun({Application, Id}) ->
    _ = supervisor:terminate_child(Top(Application), Id),
    supervisor:delete_child(Top(Application), Id)
  end,
  Each = fun Each([], Started) ->
               %% The value is an atom, and is never replaced by another: that costs no collection.
               [persistent_term:put({edeliver_relup, started_child, Child}, true) || Child <- Started],
               {ok, lists:reverse(Started)};
             Each([{Application, Spec} | Others], Started) ->
    Id = IdOf(Spec),
    case Start(Application, Spec) of
      already -> Each(Others, Started);
      {error, Reason} -> lists:foreach(End, Started), {error, Application, Id, Reason};
      Ok when element(1, Ok) =:= ok -> Each(Others, [{Application, Id} | Started])
    end
  end,
  Each(Children, []).
