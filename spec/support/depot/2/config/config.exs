import Config
config :depot, color: "blue", added: [deep: %{secret: "s3cret"}]
config :logger, level: :warning
