defmodule Shop.Printer do
  use Agent
  def start_link(_), do: Agent.start_link(fn -> :idle end, name: __MODULE__)
end

defmodule Shop.Cache do
  use Agent
  def start_link(options), do: Agent.start_link(fn -> options end, name: __MODULE__)
end
