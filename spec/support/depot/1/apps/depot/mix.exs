defmodule Depot.MixProject do
  use Mix.Project

  def project do
    [app: :depot, version: System.fetch_env!("DEPOT_VERSION"), build_path: "../../_build",
     config_path: "../../config/config.exs", deps_path: "../../deps", lockfile: "../../mix.lock",
     deps: [{:units, in_umbrella: true}]]
  end

  def application, do: [mod: {Depot.Application, []}, extra_applications: [:logger]]
end
