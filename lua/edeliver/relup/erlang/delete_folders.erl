%% Deletes folders below Lib and Releases ("lib/...", "releases/..."), but none that is in the code path or is an application's that is
%% loaded: those that are left, `{Path, Reason}` each.
-module(delete_folders).
-export([run/3]).

run(Folders, Lib, Releases) ->
  Used = [filename:dirname(Path) || Path <- code:get_path(), filename:basename(Path) =:= "ebin"]
    ++ [Dir || {App, _, _} <- application:loaded_applications(), Dir <- [code:lib_dir(App)], is_list(Dir)],
  Ends = [unicode:characters_to_binary(lists:nthtail(length(filename:split(Path)) - 1, filename:split(Path))) || Path <- Used],
  Delete = fun(Folder) ->
    [Top, Name] = filename:split(Folder),
    case Top =:= <<"lib">> andalso lists:member(Name, Ends) of
      true -> [{Folder, in_use}];
      false ->
        case file:del_dir_r(filename:join(case Top of <<"lib">> -> Lib; <<"releases">> -> Releases end, Name)) of
          ok -> [];
          {error, enoent} -> [];
          {error, Reason} -> [{Folder, Reason}]
        end
    end
  end,
  lists:append(lists:map(Delete, Folders)).
