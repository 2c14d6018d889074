%% Of processes that hibernate only a question tells whether they are suspended; it wakes them. All are asked at once, and waited for
%% until nobody has answered for Silence ms, at most Longest ms in all. Only processes of proc_lib, which all OTP behaviours are,
%% understand it.
-module(ask_suspended).
-export([run/3]).

run(Pids, Silence, Longest) ->
  Ref = make_ref(),
  Now = fun() -> erlang:monotonic_time(millisecond) end,
  Calls = lists:zipwith(fun erlang:process_info/2, Pids, lists:duplicate(length(Pids), initial_call)),
  Asked = [Pid || {Pid, {initial_call, {proc_lib, init_p, 5}}} <- lists:zip(Pids, Calls)],
  _ = lists:zipwith(fun erlang:send/2, Asked, [{system, {self(), {Ref, Pid}}, get_status} || Pid <- Asked]),
  Last = Now() + Longest,
  Collect = fun Collect(0, Found) -> Found;
                Collect(Left, Found) ->
    %% No receive here has a time of its own: see guard.erl.
    Late = erlang:start_timer(max(0, min(Silence, Last - Now())), self(), late),
    Answer = receive {{Ref, Of}, Status} -> {Of, Status}; {timeout, Late, _} -> late end,
    erlang:cancel_timer(Late),
    case Answer of
      late -> Found;
      {Pid, {status, _, _, [_, suspended | _]}} -> Collect(Left - 1, [Pid | Found]);
      _ -> Collect(Left - 1, Found)
    end
  end,
  Collect(length(Asked), []).
