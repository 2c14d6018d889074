%% `{Known, Unfiled}`. Known is for each `{Module, Path}`: `{Module, Size, OfFile, Loaded, Behaves}`: the file's size and the md5 of its
%% code, that of the code that is loaded, or `none`, and whether that has a behaviour. Unfiled are the other modules that are loaded
%% and came from no file that is there. Loads nothing.
-module(module_md5s).
-export([run/2]).

run(Root, Modules) ->
  Ask = fun({Module, Path}) ->
    {Size, OfFile} = case file:read_file(filename:join(Root, Path)) of
      {ok, Bin} ->
        case code:module_md5(Bin) of
          Md5 when is_binary(Md5) -> {byte_size(Bin), Md5};
          undefined -> {byte_size(Bin), none}
        end;
      {error, _} -> {0, none}
    end,
    case erlang:module_loaded(Module) of
      true ->
        Attributes = Module:module_info(attributes),
        Behaves = lists:keymember(behaviour, 1, Attributes) orelse lists:keymember(behavior, 1, Attributes),
        {Module, Size, OfFile, Module:module_info(md5), Behaves};
      false -> {Module, Size, OfFile, none, true}
    end
  end,
  Names = maps:from_list(Modules),
  IsFile = fun(preloaded) -> true; (cover_compiled) -> true; ([_ | _] = File) -> filelib:is_regular(File); (_) -> false end,
  {lists:map(Ask, Modules), [Module || {Module, File} <- code:all_loaded(), not is_map_key(Module, Names), not IsFile(File)]}.
