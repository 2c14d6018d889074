%% Tells the Phoenix endpoints of the node that a release was installed: each reads its static manifest anew, and one that is among
%% Changed, `[{Application, Key}]`, its configuration, too. Gives `[{Endpoint, told | changed | {failed, Reason}}]`.
%%
%% Without more, an endpoint whose configuration changes loses the defaults below keys that are lists; those that Phoenix can say
%% (up to 1.7) are given with it.
-module(phoenix_renew_endpoints).
-export([run/2]).

run(Changed, Endpoints) ->
  Known = 'Elixir.Phoenix.Endpoint.Supervisor',
  Configuration = fun(App, Endpoint) ->
    case erlang:function_exported(Known, config, 2) of
      true -> Known:config(App, Endpoint);
      false -> application:get_env(App, Endpoint, [])
    end
  end,
  Tell = fun(Endpoint) ->
    App = Endpoint:config(otp_app),
    case lists:member({App, Endpoint}, Changed) of
      true -> Endpoint:config_change([{Endpoint, Configuration(App, Endpoint)}], []), changed;
      false -> Endpoint:config_change([], []), told
    end
  end,
  [{Endpoint, try Tell(Endpoint) catch Class:Reason -> {failed, {Class, Reason}} end} || Endpoint <- Endpoints,
   erlang:function_exported(Endpoint, config_change, 2)].
