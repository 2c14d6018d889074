defmodule Depot.Item do
  use GenServer
  defstruct [:id, :count, reserved: 0, tags: []]

  def start_link(id), do: GenServer.start_link(__MODULE__, id)
  def init(id), do: {:ok, %__MODULE__{id: id, count: id * 3}}
  def handle_call(:count, _from, item), do: {:reply, item.count - item.reserved, item}
  def handle_call(:take, _from, item), do: {:reply, :ok, %{item | count: item.count - 1}}
  def handle_call(:reserve, _from, item), do: {:reply, :ok, %{item | reserved: item.reserved + 1}}
  def handle_call({:tag, tag}, _from, item), do: {:reply, :ok, %{item | tags: [tag | item.tags]}}
  def handle_call(:state, _from, item), do: {:reply, item, item}

  def code_change({:down, _}, item, _), do: {:ok, Map.delete(item, :tags)}
  def code_change(_, item, _), do: {:ok, item |> Map.put_new(:reserved, 0) |> Map.put(:tags, [])}
end
