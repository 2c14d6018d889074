# The protocol is not changed, but consolidates anew.
defimpl Depot.Price, for: BitString do
  def of(text), do: byte_size(text)
end
