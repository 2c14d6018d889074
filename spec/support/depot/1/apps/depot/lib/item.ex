# Many processes whose state is a struct.
defmodule Depot.Item do
  use GenServer
  defstruct [:id, :count]

  def start_link(id), do: GenServer.start_link(__MODULE__, id)
  def init(id), do: {:ok, %__MODULE__{id: id, count: id * 3}}
  def handle_call(:count, _from, item), do: {:reply, item.count, item}
  def handle_call(:take, _from, item), do: {:reply, :ok, %{item | count: item.count - 1}}
  def handle_call(:state, _from, item), do: {:reply, item, item}
end
