%% A supervisor whose children differ from version to version, for the specs of swaps. Its second version has no gone, and what it
%% has instead may want the name of that.
-module(swapped_pool).
-behaviour(supervisor).
-export([start/1, version/0, init/1]).

start(Kind) -> {ok, Pid} = supervisor:start_link({local, ?MODULE}, ?MODULE, Kind), unlink(Pid), Pid.

version() -> ?VSN.

%% As Phoenix.Tracker does: its init cannot run twice.
init(table) -> swapped_pool = ets:new(swapped_pool, [named_table]), init(plain);
init(Kind) -> {ok, {#{intensity => 0, period => 1}, children(?VSN, Kind)}}.

children(1, _) -> [child(kept, none), #{id => gone, start => {swapped_gone, start_link, []}}];
children(2, same_name) -> [child(kept, none), child(first, none), child(second, swapped_name)];
children(2, same_id) -> [child(kept, none), child(gone, none), child(second, none)];
children(2, _) -> [child(first, none), child(kept, none), child(second, none)].

child(Id, Name) -> #{id => Id, start => {swapped_child, start_link, [Id, Name]}}.
