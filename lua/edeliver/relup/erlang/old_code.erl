%% Old code of a module: #{runs => fun(Module) -> the pids that run it, purge => fun(Module) -> whether there is none any more}.
-module(old_code).
-export([run/0]).

run() ->
  %% Who runs old code of a module: asked without a collection first, as most do not.
  Runs = fun(Module) ->
    Pids = processes(),
    Ask = fun(Among, Collect) ->
      Count = length(Among),
      Answers = lists:zipwith3(fun erlang:check_process_code/3, Among, lists:duplicate(Count, Module),
                               lists:duplicate(Count, [{allow_gc, Collect}])),
      case lists:usort(Answers) of
        [false] -> [];
        [] -> [];
        _ -> [Pid || {Pid, Answer} <- lists:zip(Among, Answers), Answer =/= false]
      end
    end,
    Ask(Ask(Pids, false), true)
  end,
  Purge = fun(Module) -> not erlang:check_old_code(Module) orelse code:soft_purge(Module) end,
  #{runs => Runs, purge => Purge}.
