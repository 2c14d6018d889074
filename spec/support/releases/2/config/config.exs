import Config
config :shop, color: "blue", added: %{deep: [secret: "s3cret"]}, list: [1, 2]
config :logger, level: :warning
