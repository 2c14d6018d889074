# A supervisor that gains a child and loses one.
defmodule Depot.Shelves do
  use Supervisor

  def start_link(options), do: Supervisor.start_link(__MODULE__, options, name: __MODULE__)
  def init(_options), do: Supervisor.init([Depot.Ledger, Depot.Inspector], strategy: :one_for_one)
end
