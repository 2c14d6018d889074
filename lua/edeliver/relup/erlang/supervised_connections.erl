%% What is below these connections, which are typed supervisor: the websockets of cowboy 2, its http connections, the
%% supervisors, how many of Pids are none, and how many have other children than cowboy. Only supervisors are asked for their children whose module exports what a supervisor's
%% does, as OTP's and RabbitMQ's supervisor2 do.
-module(supervised_connections).
-export([run/1]).

run(Pids) ->
  IsSupervisor = fun(Pid) ->
    {Module, _, _} = proc_lib:translate_initial_call(Pid),
    lists:all(fun(Question) -> erlang:function_exported(Module, Question, 1) end, [which_children, count_children])
  end,
  Supervisors = [Pid || Pid <- Pids, IsSupervisor(Pid)],
  Below = [try supervisor:which_children(Sup) catch exit:_ -> [] end || Sup <- Supervisors],
  IsCowboy = fun({_, _, worker, [Module]}) -> Module =:= cowboy_clear orelse Module =:= cowboy_tls; (_) -> false end,
  Cowboys = [Pid || Rows <- Below, {_, Pid, _, _} = Row <- Rows, is_pid(Pid), IsCowboy(Row)],
  Others = [Rows || Rows <- Below, Rows =/= [], not lists:any(IsCowboy, Rows)],
  Status = fun(Pid) ->
    try sys:get_status(Pid, 1000) of {status, _, {module, cowboy_websocket}, _} -> true; _ -> false
    catch exit:_ -> false
    end
  end,
  IsWebsocket = fun(Pid) ->
    case process_info(Pid, current_function) of
      {_, {cowboy_websocket, _, _}} -> true;
      {_, {erlang, hibernate, _}} -> Status(Pid);
      {_, {sys, _, _}} -> Status(Pid);
      {_, {cowboy_http, _, _}} -> false;
      {_, _} ->
        case process_info(Pid, backtrace) of
          {_, Stack} -> binary:match(Stack, <<"cowboy_websocket:">>) =/= nomatch;
          undefined -> false
        end;
      undefined -> false
    end
  end,
  {Websockets, Http} = lists:partition(IsWebsocket, Cowboys),
  {Websockets, Http, Supervisors, length(Pids) - length(Supervisors), length(Others)}.
