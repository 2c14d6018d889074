defmodule Depot.Version do
  def version, do: 3
end
