defmodule Shop.MixProject do
  use Mix.Project

  def project do
    [app: :shop, version: System.fetch_env!("SHOP_VERSION"), build_path: "../../_build", config_path: "../../config/config.exs",
     deps_path: "../../deps", lockfile: "../../mix.lock", deps: [{:stock, in_umbrella: true}]]
  end

  def application, do: [mod: {Shop.Application, []}, extra_applications: [:logger]]
end
