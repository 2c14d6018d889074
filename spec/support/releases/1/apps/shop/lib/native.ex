defmodule Shop.Native do
  @on_load :load
  def load, do: :erlang.load_nif(:filename.join(:code.priv_dir(:shop), "native"), 0) && :ok
  def version, do: 1
end
