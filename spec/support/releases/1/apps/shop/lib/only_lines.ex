defmodule Shop.OnlyLines do
  def same(x), do: x + 1
end
