# An umbrella of two applications, released as `shop`. The folder `2` has what is otherwise in its version 2.0.0.
defmodule Both.MixProject do
  use Mix.Project

  def project do
    [
      apps_path: "apps",
      version: System.fetch_env!("SHOP_VERSION"),
      releases: [
        shop: [
          version: System.fetch_env!("SHOP_VERSION"),
          applications: [shop: :permanent, stock: :permanent],
          steps: [:assemble, :tar]
        ]
      ]
    ]
  end
end
