defmodule Depot.Version do
  def version, do: 2
end
