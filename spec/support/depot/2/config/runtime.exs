import Config
config :depot,
  home: System.get_env("DEPOT_HOME", "nowhere"),
  format: fn text -> String.reverse(text) end,
  secret_key: System.get_env("DEPOT_SECRET")
config :mails, from: "depot@" <> System.get_env("DEPOT_HOME", "nowhere")
