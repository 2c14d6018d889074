# A server that changes its own state.
defmodule Shop.Till do
  use GenServer

  def start_link(name), do: GenServer.start_link(__MODULE__, 0, name: name)
  def init(total), do: {:ok, total}
  def handle_call(:total, _from, total), do: {:reply, total, total}
  def code_change({:down, _}, {:total, total}, _extra), do: {:ok, total}
  def code_change(_old, total, _extra), do: {:ok, total}
end
