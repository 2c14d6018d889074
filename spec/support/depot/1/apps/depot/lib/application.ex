defmodule Depot.Application do
  use Application

  def start(_type, _args) do
    children = [{DynamicSupervisor, name: Depot.Items, strategy: :one_for_one}, Depot.Shelves]
    {:ok, pid} = Supervisor.start_link(children, strategy: :one_for_one, name: Depot.Supervisor)
    for id <- 1..String.to_integer(System.get_env("DEPOT_ITEMS", "100")) do
      {:ok, _} = DynamicSupervisor.start_child(Depot.Items, {Depot.Item, id})
    end
    {:ok, pid}
  end
end
