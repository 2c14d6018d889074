# It goes in 2.0.0.
defmodule Shop.Drawer do
  use Agent
  def start_link(_), do: Agent.start_link(fn -> :shut end, name: __MODULE__)
end
