%% Old code of a module: #{runs => fun(Module) -> the pids that run it, purge => fun(Module) -> whether there is none any more}.
-module(old_code).
-export([run/0]).

run() ->
  %% In slices, whose lists are short-lived: a collection of long ones would hold a scheduler up.
  Slices = fun Cut(Pids) ->
    case length(Pids) =< 2000 of true -> [Pids]; false -> {Some, Others} = lists:split(2000, Pids), [Some | Cut(Others)] end
  end,
  Ask = fun(Module, Among, Collect) ->
    Count = length(Among),
    Answers = lists:zipwith3(fun erlang:check_process_code/3, Among, lists:duplicate(Count, Module),
                             lists:duplicate(Count, [{allow_gc, Collect}])),
    case lists:usort(Answers) of
      [false] -> [];
      [] -> [];
      _ -> [Pid || {Pid, Answer} <- lists:zip(Among, Answers), Answer =/= false]
    end
  end,
  %% Who runs old code of a module: asked without a collection first, as most do not.
  Runs = fun(Module) ->
    lists:append([Ask(Module, Ask(Module, Some, false), true) || Some <- Slices(processes())])
  end,
  Purge = fun(Module) -> not erlang:check_old_code(Module) orelse code:soft_purge(Module) end,
  #{runs => Runs, purge => Purge}.
