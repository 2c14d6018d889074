%% What supervisors with a callback of Modules lack, or have too much, by their own new init: `[{Module, Pid, Id, Problem}]`, Problem is
%% `missing`, `not_running`, or `left`, where the child's module is one of Removed. Children that were added by hand are none of it.
-module(children_of).
-export([run/2]).
-compile(nowarn_deprecated_catch).

run(Modules, Removed) ->
  Callback = fun(Pid) ->
    case catch proc_lib:translate_initial_call(Pid) of {supervisor, Module, 1} -> Module; {Module, init, 1} -> Module; _ -> none end
  end,
  Supervisors = case Modules of
    [] -> [];
    _ -> [{Module, Pid} || Pid <- processes(), Module <- [Callback(Pid)], lists:member(Module, Modules)]
  end,
  Spec = fun(#{id := Id} = Map) -> {Id, maps:get(restart, Map, permanent)}; (Tuple) -> {element(1, Tuple), element(3, Tuple)} end,
  Wanted = fun(Module, Pid) ->
    State = sys:get_state(Pid, 5000),
    case Module:init(element(tuple_size(State), State)) of
      {ok, {#{strategy := simple_one_for_one}, _}} -> dynamic;
      {ok, {{simple_one_for_one, _, _}, _}} -> dynamic;
      {ok, {_, Specs}} -> lists:map(Spec, Specs);
      ignore -> dynamic
    end
  end,
  Look = fun({Module, Pid}) ->
    case catch {Wanted(Module, Pid), supervisor:which_children(Pid)} of
      {dynamic, _} -> [];
      {Specs, Children} when is_list(Specs), is_list(Children) ->
        [{Module, Pid, Id, missing} || {Id, _} <- Specs, not lists:keymember(Id, 1, Children)] ++
          [{Module, Pid, Id, not_running} || {Id, permanent} <- Specs, {I, undefined, _, _} <- Children, I =:= Id] ++
          [{Module, Pid, Id, left} || {Id, _, _, [Mod | _]} <- Children, lists:member(Mod, Removed),
                                      not lists:keymember(Id, 1, Specs)];
      _ -> []
    end
  end,
  lists:append(lists:map(Look, Supervisors)).
