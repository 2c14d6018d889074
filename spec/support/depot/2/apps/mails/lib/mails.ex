# An application that is new in 2.0.0.
defmodule Mails do
  use Application
  def start(_, _), do: Supervisor.start_link([], strategy: :one_for_one, name: Mails.Supervisor)
  def from, do: Application.fetch_env!(:mails, :from)
end
