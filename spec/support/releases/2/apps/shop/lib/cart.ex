# A struct as the state of processes whose code_change is the one of `use GenServer`.
defmodule Shop.Cart do
  use GenServer
  defstruct items: [], coupon: nil

  def start_link(options), do: GenServer.start_link(__MODULE__, options, name: __MODULE__)
  def init(_options), do: {:ok, %__MODULE__{}}
  def handle_call(:items, _from, cart), do: {:reply, {cart.items, cart.coupon}, cart}
end
