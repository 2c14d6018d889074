# A child and a module that go in 2.0.0.
defmodule Depot.Inspector do
  use Agent
  def start_link(_), do: Agent.start_link(fn -> :idle end, name: __MODULE__)
end
