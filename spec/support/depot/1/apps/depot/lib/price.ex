defprotocol Depot.Price do
  @fallback_to_any true
  def of(thing)
end

defimpl Depot.Price, for: Any do
  def of(_), do: :unknown
end

defimpl Depot.Price, for: Depot.Item do
  def of(item), do: item.count
end
