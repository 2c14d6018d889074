defmodule Stock do
  def count, do: 1
end
