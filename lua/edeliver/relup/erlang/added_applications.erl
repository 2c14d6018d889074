%% Applications that a release adds, each with its code: #{start => fun([{Application, Type, Path, Code}]) -> {ok, Begun} | {error,
%% Reason}, and they are as they were; stop => fun(Begun)}.
-module(added_applications).
-export([run/0]).

run() ->
  StopApplication = fun({App, Path, Loaded0, WasLoaded}) ->
    application:stop(App),
    WasLoaded orelse application:unload(App),
    [begin code:delete(Module), code:soft_purge(Module) end || {Module, _, _} <- Loaded0],
    code:del_path(Path)
  end,
  StartApplications = fun Next([], Begun) -> {ok, Begun};
                          Next([{App, Type, Path, Code} | Others], Begun) ->
    case lists:keymember(App, 1, application:which_applications()) of
      true -> Next(Others, Begun);
      false ->
        WasLoaded = lists:keymember(App, 1, application:loaded_applications()),
        code:add_pathz(Path),
        One = {App, Path, [Each || {_, File0, _} = Each <- Code, filename:dirname(File0) =:= Path], WasLoaded},
        Failed = [{Module, Reason} || {Module, File0, Bytes} <- element(3, One),
                                      {error, Reason} <- [code:load_binary(Module, File0, Bytes)]],
        case Failed =:= [] andalso application:start(App, Type) of
          ok -> Next(Others, [One | Begun]);
          Problem ->
            lists:foreach(StopApplication, [One | Begun]),
            {error, {not_started, App, case Problem of {error, Reason} -> Reason; false -> Failed end}}
        end
    end
  end,
  #{start => fun(Starts) -> StartApplications(Starts, []) end, stop => fun(Begun) -> lists:foreach(StopApplication, Begun) end}.
