import Config
config :shop, color: "red", dropped: 1, list: [1, 2]
config :logger, level: :warning
