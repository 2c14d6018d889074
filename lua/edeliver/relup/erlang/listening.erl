%% The TCP sockets that listen on this node, but for those of the distribution: `[{Port, Owner}]`, the owner by its application, its
%% name, or the module that it began in. For nodes where no web server is known: what else there is.
-module(listening).
-compile(nowarn_deprecated_catch).
-export([run/0]).

run() ->
  Mine = [whereis(Name) || Name <- [net_kernel, net_sup, erl_epmd], whereis(Name) =/= undefined],
  Ports = [{Owner, inet:port(Port)} || Port <- erlang:ports(), erlang:port_info(Port, name) =:= {name, "tcp_inet"},
           {ok, Status} <- [(catch prim_inet:getstatus(Port))], lists:member(listen, Status),
           {connected, Owner} <- [erlang:port_info(Port, connected)]],
  Sockets = case erlang:function_exported(socket, which_sockets, 1) of
    true ->
      [{Owner, case (catch socket:sockname(Socket)) of {ok, #{port := Port}} -> {ok, Port}; _ -> none end}
       || Socket <- socket:which_sockets(tcp),
          #{owner := Owner, rstates := States} <- [(catch socket:info(Socket))], lists:member(listening, States)];
    false -> []
  end,
  Known = fun(Owner) ->
    case {application:get_application(Owner), process_info(Owner, registered_name)} of
      {{ok, App}, _} -> App;
      {_, {registered_name, Name}} -> Name;
      _ -> case (catch proc_lib:translate_initial_call(Owner)) of {Module, _, _} -> Module; _ -> undefined end
    end
  end,
  [{Number, Known(Owner)}
   || {Owner, {ok, Number}} <- Ports ++ Sockets, is_pid(Owner), not lists:member(Owner, Mine)].
