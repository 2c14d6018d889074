%% Lets a suspended listener of ranch listen again: ok, or `{error, Reason}`. Where it was removed meanwhile, or ranch was stopped,
%% ranch raises badarg, as for any name that it does not know: nothing of that listener is suspended any more.
-module(resume_ranch_listener).
-export([run/1]).

run(Ref) -> try ranch:resume_listener(Ref) catch error:badarg -> ok end.
