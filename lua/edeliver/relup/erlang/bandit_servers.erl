%% The servers directly below endpoints, whose children's ids are `{Endpoint, http | https}`: `[{Id, Pid, Endpoint}]`.
-module(bandit_servers).
-export([run/1]).

run(Endpoints) ->
  [{Id, Pid, Endpoint} || Endpoint <- Endpoints,
                          {Id, Pid, supervisor, ['Elixir.Bandit']} <- supervisor:which_children(Endpoint), is_pid(Pid)].
