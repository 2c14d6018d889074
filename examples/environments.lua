-- Environments of yours: copy environments.lua to edeliver-relup.lua in your project's folder, or to
-- ~/.config/edeliver-relup/config.lua. `edeliver-relup @production status` then knows the node and its options.

return {
  production = { node = "myapp@web1", cookie_file = "/etc/myapp/cookie", app = "myapp", tls_ca = "/etc/ssl/dist.pem" },
  staging = { node = "myapp@staging", ssh = "ops@staging", address = "127.0.0.1" },
  cluster = { nodes = { "myapp@web1", "myapp@web2" } },
}
