defmodule Depot.Version do
  def version, do: 1
end
