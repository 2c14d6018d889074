import Config
config :shop, home: System.get_env("SHOP_HOME", "nowhere"), handler: &String.upcase/1, secret_key: "from the environment"
