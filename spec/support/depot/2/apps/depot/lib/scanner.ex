# A child that is new in 2.0.0.
defmodule Depot.Scanner do
  use Agent
  def start_link(_), do: Agent.start_link(fn -> 0 end, name: __MODULE__)
  def scan, do: Agent.get_and_update(__MODULE__, &{&1 + 1, &1 + 1})
end
