# An application that goes in 2.0.0.
defmodule Labels do
  use Application
  def start(_, _), do: Supervisor.start_link([{Agent, fn -> :printing end}], strategy: :one_for_one, name: Labels.Supervisor)
end
