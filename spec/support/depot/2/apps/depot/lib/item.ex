# The struct gains a field; code_change converts, up and down.
defmodule Depot.Item do
  use GenServer
  defstruct [:id, :count, reserved: 0]

  def start_link(id), do: GenServer.start_link(__MODULE__, id)
  def init(id), do: {:ok, %__MODULE__{id: id, count: id * 3}}
  def handle_call(:count, _from, item), do: {:reply, item.count - item.reserved, item}
  def handle_call(:take, _from, item), do: {:reply, :ok, %{item | count: item.count - 1}}
  def handle_call(:reserve, _from, item), do: {:reply, :ok, %{item | reserved: item.reserved + 1}}
  def handle_call(:state, _from, item), do: {:reply, item, item}

  def code_change({:down, _}, item, _), do: {:ok, Map.delete(%{item | count: item.count - item.reserved}, :reserved)}
  def code_change(_, item, _) do
    # What runtime.exs gives has to be there already.
    Process.put(:saw, Application.fetch_env!(:depot, :home))
    {:ok, Map.put(item, :reserved, 0)}
  end
end
