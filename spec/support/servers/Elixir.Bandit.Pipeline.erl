%% Where Bandit runs requests: a function that is seen in the stack of whoever runs one, however deep.
-module('Elixir.Bandit.Pipeline').
-export([run/1]).

run({poll, Ms}) ->
    _ = 'Elixir.Phoenix.Transports.LongPoll':listen(none, none, none, none, Ms),
    done;
run(Ms) ->
    _ = deeper(30, Ms),
    done.

deeper(0, Ms) -> timer:sleep(Ms), [];
deeper(N, Ms) -> [N | deeper(N - 1, Ms)].
