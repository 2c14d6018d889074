defmodule Units do
  def weight(n), do: {n, :kilograms}
end
