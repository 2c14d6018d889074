%% Whether this ranch can suspend a listener as a whole, and what each listener speaks: `{boolean(), [{Protocol,
%% ConnectionType}]}`. The transport's options stay here: they may hold private keys. Ranch 1.3 has no info/1; there the
%% specification of the connections' supervisor says the same.
-module(ranch_protocols).
-export([run/2]).

run(Refs, Supervisors) ->
  Asked = fun(R) ->
    Info = case ranch:info(R) of Map when is_map(Map) -> maps:to_list(Map); List -> List end,
    Type = case proplists:get_value(transport_options, Info) of
             #{connection_type := Given} -> Given;
             Options when is_list(Options) -> proplists:get_value(connection_type, Options, worker);
             _ -> worker
           end,
    {proplists:get_value(protocol, Info), Type}
  end,
  Specified = fun(S) ->
    {ok, #{start := {_, _, [_, Type, _, _, _, Protocol]}}} = supervisor:get_childspec(S, ranch_conns_sup),
    {Protocol, Type}
  end,
  {erlang:function_exported(ranch, suspend_listener, 1),
   [case erlang:function_exported(ranch, info, 1) of true -> Asked(R); false -> Specified(S) end
    || {R, S} <- lists:zip(Refs, Supervisors)]}.
