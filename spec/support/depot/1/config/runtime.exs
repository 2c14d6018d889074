import Config
config :depot, home: System.get_env("DEPOT_HOME", "nowhere"), format: &String.upcase/1, secret_key: System.get_env("DEPOT_SECRET")
