%% One supervisor of channels per scheduler, as in Phoenix; which of them a new channel gets is a hash of who asks.
-module('Elixir.Phoenix.Socket.PoolSupervisor').
-behaviour(supervisor).
-export([start_link/1, start_pooled/1, start_child/1, init/1]).

-define(NAME, 'Elixir.Chat.Endpoint.Elixir.Chat.UserSocket').

start_link(Channel) ->
    supervisor:start_link({local, ?NAME}, ?MODULE, {pool, Channel}).

start_pooled(Channel) ->
    supervisor:start_link(?MODULE, {channels, Channel}).

start_child(From) ->
    Pooled = supervisor:which_children(?NAME),
    {_, Sup, _, _} = lists:nth(1 + erlang:phash2(From, length(Pooled)), Pooled),
    supervisor:start_child(Sup, [From]).

init({pool, Channel}) ->
    {ok, {#{strategy => one_for_one},
          [#{id => I, start => {?MODULE, start_pooled, [Channel]}, type => supervisor, shutdown => infinity}
           || I <- lists:seq(0, erlang:system_info(schedulers_online) - 1)]}};
init({channels, Channel}) ->
    {ok, {#{strategy => simple_one_for_one},
          [#{id => Channel, start => {Channel, start_link, []}, restart => temporary, modules => [Channel]}]}}.
