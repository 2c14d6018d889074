# A supervisor that gains a child and loses one.
defmodule Shop.Tills do
  use Supervisor

  def start_link(options), do: Supervisor.start_link(__MODULE__, options, name: __MODULE__)

  def init(_options) do
    Supervisor.init(children(), strategy: :one_for_one)
  end

  # Listed by functions of its own, as many do.
  defp children do
    tills = for name <- [:till_1], do: Supervisor.child_spec({Shop.Till, name}, id: name)
    tills ++ [Shop.Printer]
  end
end
