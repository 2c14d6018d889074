%% Gives a fun that configures the next VM (it is a question of next_vm.erl, for those behind it): with the values that
%% hold_configuration.erl holds, where it does, so that no provider is run once more; else as Resolve does, the call of
%% resolve_configuration.erl. Its answer is ok or `{error, Reason}`, for values stay on the node.
-module(configure_vm).
-export([run/1]).

run(Resolve) ->
  {M, F, A} = Resolve,
  fun(Call, next_vm) ->
    Where = try {given, gen_server:call(edeliver_relup_configuration, merged, 30000)} catch exit:_ -> next_vm end,
    case (apply(M, F, A))(Call, Where) of
      {ok, _, _, _} -> ok;
      {error, Reason} -> {error, Reason}
    end
  end.
