# A supervisor that gains a child and loses one.
defmodule Shop.Tills do
  use Supervisor

  def start_link(options), do: Supervisor.start_link(__MODULE__, options, name: __MODULE__)

  def init(_options) do
    children = [
      Supervisor.child_spec({Shop.Till, :till_1}, id: :till_1),
      Shop.Drawer
    ]

    Supervisor.init(children, strategy: :one_for_one)
  end
end
