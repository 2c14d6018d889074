# Its version is the same for ever: nobody bumps it.
defmodule Labels.MixProject do
  use Mix.Project

  def project do
    [app: :labels, version: "0.1.0", build_path: "../../_build", config_path: "../../config/config.exs",
     deps_path: "../../deps", lockfile: "../../mix.lock"]
  end

  def application, do: [mod: {Labels, []}]
end
