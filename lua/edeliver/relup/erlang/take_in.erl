%% Takes files of a release in, below another name, until they are whole: `{ok, Pid}` of the process that does, or `{busy, Who}` where
%% there is one already. It is registered, so that there is no second one, and ends with Owner. Lib and Releases are the folders that
%% paths begin with ("lib/...", "releases/..."), Identity tells these files from others: what lies here of others goes, what lies here
%% of these stays when this ends in the middle. Running is the version whose files' mode and owner those have that are like no other.
%%
%% It answers gen_server calls:
%%   {take, N, Records}  ok | {error, Reason}, in the order of N, from 1 on. Records may be {packed, Bytes}. A record is
%%                       {data, Path, Offset, Bytes, more | Last}: Last = {Crc32, IsProgram, Like}, where Like is a path or none
%%                       {copy, From, Path, Last}: From is a path, or {taken, Path} of what was taken in before
%%                       {link, Path, Target}
%%   {finish, Paths}     ok | {error, Reason}: these folders and files, {Path, Like}, are synced and have their names now, all or none
%%   forget              ok: what was taken in is gone
%%   who                 {who, Text}
%%   leave               ok
-module(take_in).
-export([run/6]).
-compile(nowarn_deprecated_catch).

run(Identity, Lib, Owner, Releases, Running, Who) ->
  Passing = ".ship-" ++ Identity,
  Top = fun(<<"lib">>) -> Lib; (<<"releases">>) -> Releases end,
  Final = fun(Path) -> [First | Rest] = filename:split(Path), filename:join([Top(First) | Rest]) end,
  Taken = fun(Path) -> [First | Rest] = filename:split(Path), filename:join([Top(First), Passing | Rest]) end,
  Must = fun(ok) -> ok; ({error, Reason}) -> throw({failed, Reason}) end,
  Ok = fun({ok, Value}) -> Value; ({error, Reason}) -> throw({failed, Reason}) end,
  Rights = fun(Info) -> {element(8, Info) band 8#777, element(13, Info), element(14, Info)} end,
  Look = fun(Path) -> file:read_file_info(Path, [raw]) end,
  RightsOf = fun(Path) -> Rights(Ok(Look(Path))) end,
  Pattern = filename:join(Releases, Running),
  {OfFile, OfFolder} = case filelib:wildcard(filename:join(Pattern, "*.{rel,boot}")) of
    [Model | _] -> {RightsOf(Model), RightsOf(Pattern)};
    [] -> Whose = RightsOf(Releases), {setelement(1, Whose, element(1, Whose) band 8#666), Whose}
  end,
  Like = fun(none, _, Else) -> Else;
            (Path, Type, Else) ->
    case Look(Final(Path)) of {ok, Info} when element(3, Info) =:= Type -> Rights(Info); _ -> Else end
  end,
  %% Whoever may read a program may run it.
  Runs = fun(true, Mode) -> Mode bor ((Mode band 8#444) bsr 2); (false, Mode) -> Mode end,
  Set = fun(Path, Info, {User, Group}) -> file:write_file_info(Path, setelement(13, setelement(14, Info, Group), User), [raw]) end,
  %% Only root may give a file away: then it stays ours.
  Own = fun(Path, {Mode, User, Group}) ->
    Blank = list_to_tuple([file_info | lists:duplicate(13, undefined)]),
    case Set(Path, setelement(8, Blank, Mode), {User, Group}) of
      ok -> ok;
      _ -> Must(Set(Path, setelement(8, Blank, Mode), {undefined, undefined}))
    end
  end,
  Place = fun(Path) ->
    Full = Taken(Path),
    Folder = filename:dirname(Full),
    %% As one after another lies in the same.
    _ = get(folder) =:= Folder orelse begin Must(filelib:ensure_dir(Full)), put(folder, Folder) end,
    Full
  end,
  Close = fun(none) -> none; ({_, File, _, _}) -> _ = file:close(File), none end,
  Whole = fun(Path, So, {Crc, IsProgram, LikePath}) ->
    case So of
      Crc -> ok;
      _ -> _ = file:delete(Taken(Path)), throw({failed, {checksum, Path}})
    end,
    {Mode, User, Group} = Like(LikePath, regular, OfFile),
    Own(Taken(Path), {Runs(IsProgram, Mode), User, Group})
  end,
  Hash = fun Hash(_, 0, So) -> So;
             Hash(File, Left, So) ->
    case file:read(File, min(Left, 1048576)) of
      {ok, Bytes} -> Hash(File, Left - byte_size(Bytes), erlang:crc32(So, Bytes));
      eof -> throw({failed, eof});
      {error, Reason} -> throw({failed, Reason})
    end
  end,
  Open = fun(Path, 0) -> {Path, Ok(file:open(Place(Path), [write, raw, binary])), 0, erlang:crc32(<<>>)};
            (Path, Offset) ->
    File = Ok(file:open(Taken(Path), [read, write, raw, binary])),
    So = Hash(File, Offset, erlang:crc32(<<>>)),
    Must(file:truncate(File)),
    {Path, File, Offset, So}
  end,
  Take = fun({data, Path, Offset, Bytes, Last}, Opened) ->
               {Path, File, Offset, So} = case Opened of
                 {Path, _, Offset, _} -> Opened;
                 _ -> Close(Opened), Open(Path, Offset)
               end,
               Must(file:write(File, Bytes)),
               Now = {Path, File, Offset + byte_size(Bytes), erlang:crc32(So, Bytes)},
               case Last of
                 more -> Now;
                 _ -> Close(Now), Whole(Path, element(4, Now), Last), none
               end;
            ({copy, From, Path, Last}, Opened) ->
               Here = case From of {taken, Other} -> Taken(Other); _ -> Final(From) end,
               Size = Ok(file:copy(Here, Place(Path))),
               File = Ok(file:open(Taken(Path), [read, raw, binary])),
               So = try Hash(File, Size, erlang:crc32(<<>>)) after file:close(File) end,
               Whole(Path, So, Last),
               Opened;
            ({link, Path, Target}, Opened) ->
               _ = file:delete(Place(Path)),
               Must(file:make_symlink(Target, Taken(Path))),
               Opened
  end,
  %% Files wait for a disk, not for a processor: eight at a time.
  Each = fun(Fun, All) ->
    Me = self(),
    Parts = min(8, length(All)),
    Part = fun(N) ->
      Mine = [One || {I, One} <- lists:zip(lists:seq(1, length(All)), All), I rem Parts =:= N],
      spawn_monitor(fun() -> Me ! {self(), try lists:foreach(Fun, Mine) catch throw:{failed, Reason} -> {error, Reason} end} end)
    end,
    Wait = fun({Pid, Ref}) ->
      receive
        {Pid, Result} -> demonitor(Ref, [flush]), Result;
        {'DOWN', Ref, process, _, Reason} -> {error, Reason}
      end
    end,
    lists:foreach(Must, lists:map(Wait, lists:map(Part, lists:seq(0, Parts - 1))))
  end,
  IsWhole = fun({data, _, 0, _, Last}) -> Last =/= more; (_) -> false end,
  TakeAll = fun(Records, Opened) ->
    {Small, Large} = lists:partition(IsWhole, Records),
    Each(fun(Record) -> Take(Record, none) end, Small),
    lists:foldl(Take, Opened, Large)
  end,
  Walk = fun Walk(Path) ->
    Below = fun(Name) ->
      Full = filename:join(Path, Name),
      case file:read_link_info(Full, [raw]) of
        {ok, Info} when element(3, Info) =:= directory -> Walk(Full);
        {ok, Info} when element(3, Info) =:= regular -> [{file, Full}];
        _ -> []
      end
    end,
    case file:list_dir_all(Path) of
      {ok, Names} -> lists:append(lists:map(Below, Names)) ++ [{folder, Path}];
      {error, enotdir} -> [{file, Path}];
      {error, Reason} -> throw({failed, Reason})
    end
  end,
  Sync = fun({file, Path}) ->
               File = Ok(file:open(Path, [read, write, raw])),
               try Must(file:sync(File)) after file:close(File) end;
            %% Not everywhere can a folder be opened.
            ({folder, Path}) ->
               case file:open(Path, [read, raw, directory]) of
                 {ok, File} -> _ = file:sync(File), file:close(File);
                 _ -> ok
               end
  end,
  Forget = fun() -> lists:foreach(fun(In) -> file:del_dir_r(filename:join(In, Passing)) end, [Lib, Releases]), ok end,
  Name = fun Name([], _) -> ok;
             Name([Path | Rest], Done) ->
    case file:rename(Taken(Path), Final(Path)) of
      ok -> Name(Rest, [Path | Done]);
      {error, Reason} ->
        _ = [file:rename(Final(Back), Taken(Back)) || Back <- Done],
        throw({failed, {Reason, Path}})
    end
  end,
  Finish = fun(Folders) ->
    All = [{Entry, LikePath} || {Path, LikePath} <- Folders, Entry <- Walk(Taken(Path))],
    _ = [Own(Path, Like(LikePath, directory, OfFolder)) || {{folder, Path}, LikePath} <- All],
    Each(Sync, [Entry || {Entry, _} <- All]),
    Name([Path || {Path, _} <- Folders], []),
    lists:foreach(Sync, [{folder, Lib}, {folder, Releases}]),
    Forget()
  end,
  Try = fun(Fun) ->
    try Fun()
    catch
      throw:{failed, Reason} -> {error, Reason};
      %% Not with the bytes of files in it.
      error:Reason -> {error, unicode:characters_to_binary(io_lib:format("~0tP", [Reason, 12]))}
    end
  end,
  Unpacked = fun({packed, Bytes}) -> binary_to_term(zlib:uncompress(Bytes)); (Records) -> Records end,
  Loop = fun Loop(Next, Opened) ->
    receive
      {'$gen_call', From, {take, Next, Records}} ->
        case Try(fun() -> {taken, TakeAll(Unpacked(Records), Opened)} end) of
          {taken, Now} -> gen_server:reply(From, ok), Loop(Next + 1, Now);
          Error -> Close(Opened), gen_server:reply(From, Error), Loop(failed, none)
        end;
      {'$gen_call', From, {take, _, _}} when Next =:= failed -> gen_server:reply(From, {error, failed}), Loop(failed, none);
      {'$gen_call', From, {finish, Folders}} ->
        Close(Opened),
        gen_server:reply(From, Try(fun() -> Finish(Folders) end)),
        Loop(Next, none);
      {'$gen_call', From, forget} -> Close(Opened), gen_server:reply(From, Forget()), Loop(failed, none);
      {'$gen_call', From, who} -> gen_server:reply(From, {who, Who}), Loop(Next, Opened);
      {'$gen_call', From, leave} -> Close(Opened), unregister(edeliver_relup_ship), gen_server:reply(From, ok);
      {'DOWN', _, process, Owner, _} -> Close(Opened)
    end
  end,
  Others = fun() ->
    [file:del_dir_r(filename:join(In, Old)) || In <- [Lib, Releases], Old <- filelib:wildcard(".ship-*", In), Old =/= Passing]
  end,
  Me = self(),
  Pid = spawn(fun() ->
    group_leader(whereis(init), self()),
    monitor(process, Owner),
    case catch register(edeliver_relup_ship, self()) of
      true -> _ = Others(), Me ! {self(), ok}, Loop(1, none);
      _ -> Me ! {self(), busy}
    end
  end),
  receive
    {Pid, ok} -> {ok, Pid};
    {Pid, busy} -> try gen_server:call(edeliver_relup_ship, who, 2000) of {who, Other} -> {busy, Other} catch _:_ -> {busy, unknown} end
  end.
