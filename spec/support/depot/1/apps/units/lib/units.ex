defmodule Units do
  def weight(n), do: {n, :pounds}
end
