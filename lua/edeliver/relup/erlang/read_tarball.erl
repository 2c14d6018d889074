%% Reads a gzipped tarball from its first entry to its last, and writes nothing: `{read, Bytes, Names, Texts, Missing, Differing}` or
%% `{refused, Kind, Name}` for what must not be unpacked, where Kind says why.
%%
%% Bytes is what unpacking it below Root will take: of what is there already nothing is written. Names are the regular files, one a
%% line. Texts are those that a release is known by, `[{Name, Content}]`; of one larger than Most only its size. Of the files that
%% belong to this version alone, Missing do not lie below Root and Differing do, with other contents: at most a thousand of each.
-module(read_tarball).
-export([run/3]).

run(Path, Root, Most) ->
  Refuse = fun(Kind, Name) -> throw({refused, Kind, unicode:characters_to_binary(Name)}) end,
  Text = fun(Field) -> hd(binary:split(Field, <<0>>)) end,
  Number = fun(<<1:1, Big:95>>) -> Big;
              (Field) ->
    case string:trim(binary_to_list(Text(Field))) of [] -> 0; Digits -> list_to_integer(Digits, 8) end
  end,
  Read = fun(_, 0) -> <<>>;
            (File, Size) ->
    case file:read(File, Size) of {ok, Data} when byte_size(Data) =:= Size -> Data; _ -> Refuse(truncated, <<>>) end
  end,
  Content = fun(File, Size) -> <<Data:Size/binary, _/binary>> = Read(File, (Size + 511) div 512 * 512), Data end,
  Skip = fun(File, Size) ->
    %% The last byte is read: a position behind the end of the file is no mistake.
    case (Size + 511) div 512 * 512 of
      0 -> ok;
      Whole -> {ok, _} = file:position(File, {cur, Whole - 1}), Read(File, 1)
    end
  end,
  %% Records "LENGTH KEY=VALUE\n".
  Pax = fun Pax(<<>>, Found) -> Found;
            Pax(Data, Found) ->
    [Digits, _] = binary:split(Data, <<" ">>),
    Length = binary_to_integer(Digits),
    <<Record:Length/binary, Rest/binary>> = Data,
    Start = byte_size(Digits) + 1,
    [Key, Value] = binary:split(binary:part(Record, Start, Length - Start - 1), <<"=">>),
    Pax(Rest, Found#{Key => Value})
  end,
  Parts = fun(Name) -> [Part || Part <- binary:split(Name, <<"/">>, [global]), Part =/= <<>>, Part =/= <<".">>] end,
  Inside = fun(Name) ->
    binary:first(<<Name/binary, "x">>) =/= $/ andalso not lists:member(<<"..">>, Parts(Name))
      andalso binary:match(Name, <<"\n">>) =:= nomatch
  end,
  Joined = fun(Pieces) -> iolist_to_binary(lists:join(<<"/">>, Pieces)) end,
  Above = fun Above([]) -> [];
              Above(Pieces) -> Upper = lists:droplast(Pieces), [Joined(Upper) | Above(Upper)]
          end,
  Wanted = fun([<<"releases">>, File]) -> filename:extension(File) =:= <<".rel">>;
              ([<<"releases">>, _, File]) ->
                filename:extension(File) =:= <<".rel">> orelse lists:member(File, [<<"relup">>, <<"sys.config">>, <<"start.boot">>]);
              (_) -> false
           end,
  %% All versions share bin/, and the files right in releases/. A .rel file goes when release_handler has unpacked it.
  IsOwn = fun([Top, _, _ | _], Name) ->
                lists:member(Top, [<<"lib">>, <<"releases">>]) andalso filename:extension(Name) =/= <<".rel">>;
             (_, _) -> false
          end,
  Keep = fun(File, Size, Pieces, Name, {Count, Bytes, Names, Texts, Missing, Differing, Links}) ->
    Here = filename:join(Root, Name),
    Is = file:read_file_info(Here),
    IsWanted = Wanted(Pieces),
    Data = case IsWanted andalso Size =< Most orelse element(1, Is) =:= ok andalso filelib:file_size(Here) =:= Size of
      true -> Content(File, Size);
      false -> Skip(File, Size), unread
    end,
    IsThere = element(1, Is) =:= ok,
    Own = IsOwn(Pieces, Name),
    Differs = IsThere andalso (Data =:= unread orelse filelib:file_size(Here) =/= Size orelse file:read_file(Here) =/= {ok, Data}),
    {Count + 1,
     case IsThere of true -> Bytes; false -> Bytes + Size end,
     [Name | Names],
     case IsWanted of
       true when Data =:= unread -> [{Name, Size} | Texts];
       true -> [{Name, Data} | Texts];
       false -> Texts
     end,
     [Name || Own, not IsThere] ++ Missing,
     [Name || Own, Differs] ++ Differing,
     Links}
  end,
  Link = fun(Name, Target, {Count, Bytes, Names, Texts, Missing, Differing, Links}) ->
    %% As erl_tar judges it when it unpacks.
    _ = [Refuse(link, Name) || not Inside(Target) orelse filelib:safe_relative_path(binary_to_list(Target), Root) =:= unsafe],
    {Count + 1, Bytes, Names, Texts, Missing, Differing, Links#{Name => Target}}
  end,
  Entry = fun(File, Type, Size, Name0, Target, {_, _, _, _, _, _, Links} = State) ->
    _ = [Refuse(path, Name0) || not Inside(Name0)],
    Pieces = Parts(Name0),
    Name = Joined(Pieces),
    _ = [Refuse(through_link, Name) || Over <- [Name | Above(Pieces)], is_map_key(Over, Links)],
    case Type of
      _ when Type =:= $0; Type =:= 0; Type =:= $7 -> Keep(File, Size, Pieces, Name, State);
      $5 -> Skip(File, Size), setelement(1, State, element(1, State) + 1);
      _ when Type =:= $1; Type =:= $2 -> Skip(File, Size), Link(Name, Target, State);
      _ -> Refuse(kind, Name)
    end
  end,
  Loop = fun Loop(File, More, State) ->
    case file:read(File, 512) of
      {ok, <<0:4096>>} -> State;
      {ok, <<Name:100/binary, _:24/binary, SizeField:12/binary, _:12/binary, SumField:8/binary, Type, Target:100/binary,
             Magic:5/binary, _:83/binary, Prefix:155/binary, _/binary>> = Header} when byte_size(Header) =:= 512 ->
        Sum = lists:sum(binary_to_list(Header)) - lists:sum(binary_to_list(SumField)) + 8 * 32,
        _ = [Refuse(header, <<>>) || Number(SumField) =/= Sum],
        Size = case More of #{<<"size">> := Digits} -> binary_to_integer(Digits); _ -> Number(SizeField) end,
        Full = case {Magic, Text(Prefix)} of
          {<<"ustar">>, Before} when Before =/= <<>> -> <<Before/binary, "/", (Text(Name))/binary>>;
          _ -> Text(Name)
        end,
        case Type of
          $x -> Loop(File, maps:merge(More, Pax(Content(File, Size), #{})), State);
          $g -> Skip(File, Size), Loop(File, More, State);
          $L -> Loop(File, More#{<<"path">> => Text(Content(File, Size))}, State);
          $K -> Loop(File, More#{<<"linkpath">> => Text(Content(File, Size))}, State);
          _ ->
            Loop(File, #{}, Entry(File, Type, Size, maps:get(<<"path">>, More, Full), maps:get(<<"linkpath">>, More, Text(Target)), State))
        end;
      eof when element(1, State) =:= 0 -> Refuse(empty, <<>>);
      _ -> Refuse(truncated, <<>>)
    end
  end,
  case file:open(Path, [read, raw, binary, compressed]) of
    {ok, File} ->
      try Loop(File, #{}, {0, 0, [], [], [], [], #{}}) of
        {0, _, _, _, _, _, _} -> {refused, empty, <<>>};
        {_, Bytes, Names, Texts, Missing, Differing, _} ->
          {read, Bytes, iolist_to_binary(lists:join("\n", lists:reverse(Names))), Texts,
           lists:sublist(lists:reverse(Missing), 1000), lists:sublist(lists:reverse(Differing), 1000)}
      catch
        throw:Refused -> Refused;
        error:Reason -> {refused, header, unicode:characters_to_binary(io_lib:format("~0tp", [Reason]))}
      after file:close(File)
      end;
    {error, Reason} -> {error, Reason}
  end.
