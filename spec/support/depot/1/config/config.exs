import Config
config :depot, color: "red", dropped: 1
config :logger, level: :warning
