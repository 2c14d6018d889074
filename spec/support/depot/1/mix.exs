# An umbrella, released as `depot` by a plain `mix release`. The folders `2` and `3` have what is otherwise in those versions.
defmodule All.MixProject do
  use Mix.Project

  def project do
    version = System.fetch_env!("DEPOT_VERSION")
    [
      apps_path: "apps",
      version: version,
      releases: [depot: [version: version, applications: applications(version), steps: [:assemble, :tar]]]
    ]
  end

  defp applications("1" <> _), do: [depot: :permanent, units: :permanent, labels: :permanent]
  defp applications(_), do: [depot: :permanent, units: :permanent, mails: :permanent]
end
