%% What a start gives applications besides their configuration files: #{specs => fun(Boot) (of a boot file's bytes: the specifications of
%% its applications), term => fun(Text) ([Value]; [] where it is none), command_line => fun(App) (what this VM's arguments say of it)}.
-module(start_environment).
-export([run/0]).

run() ->
  Term = fun(Text) ->
    try {ok, Tokens, _} = erl_scan:string(Text ++ "."), {ok, Value} = erl_parse:parse_term(Tokens), [Value] catch _:_ -> [] end
  end,
  #{
    specs => fun(Boot) ->
      {script, _, Script} = binary_to_term(Boot),
      lists:append([case Each of
        {kernelProcess, application_controller, {application_controller, start, [Spec]}} -> [Spec];
        {apply, {application, load, [Spec]}} -> [Spec];
        _ -> []
      end || Each <- Script])
    end,
    term => Term,
    command_line => fun(App) ->
      Pairs = fun Pairs([Key, Value | Rest]) -> [{Name, Is} || Name <- Term(Key), Is <- Term(Value)] ++ Pairs(Rest); Pairs(_) -> [] end,
      case init:get_argument(App) of {ok, Lists} -> lists:append(lists:map(Pairs, Lists)); error -> [] end
    end
  }.
