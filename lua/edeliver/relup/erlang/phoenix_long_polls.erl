%% How many clients poll. Each has a process below a supervisor of Phoenix's own: Phoenix.Transports.LongPoll.Supervisor, or up
%% to 1.3 MyApp.Endpoint.LongPoll.Supervisor.
-module(phoenix_long_polls).
-export([run/0]).

run() ->
  Sups = [Name || Name <- registered(), lists:suffix(".LongPoll.Supervisor", atom_to_list(Name))],
  lists:sum([proplists:get_value(active, supervisor:count_children(Sup), 0) || Sup <- Sups]).
