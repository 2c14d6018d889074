# It stays as it is, and keeps what it was sent.
defmodule Depot.Ledger do
  use GenServer
  def start_link(_), do: GenServer.start_link(__MODULE__, %{}, name: __MODULE__)
  def init(counts), do: {:ok, counts}
  def handle_info({:changed, home}, counts), do: {:noreply, Map.update(counts, home, 1, &(&1 + 1))}
  def handle_call(:counts, _from, counts), do: {:reply, counts, counts}
end
