rockspec_format = "3.0"
package = "edeliver-relup"
version = "scm-1"

source = {
  -- The one place that says where the project lives; tools/release copies it.
  url = "git+https://git.example.org/edeliver-relup.git",
}

description = {
  summary = "Hot-upgrades live Erlang and Elixir nodes from Lua, without dropping a websocket",
  detailed = [[
    From outside the node, over the Erlang distribution: finds the websocket processes connected to Phoenix channels,
    suspends them, lets OTP install the release, and resumes them, in the one order that is safe.]],
  license = "MIT",
  labels = { "erlang", "elixir", "phoenix", "deployment" },
}

supported_platforms = { "linux" }

dependencies = {
  "lua >= 5.4, < 5.5",
  "lpeg >= 1.0.2",
  "argparse >= 0.7.1",
  "dkjson >= 2.5",
  "lua-term >= 0.7",
  "luv >= 1.36",
}

test_dependencies = {
  "busted >= 2.1",
}

external_dependencies = {
  -- Headers alone: luarocks without a compiler does not know where Debian has its libraries, so a packed rock could not be installed.
  EI = { header = "ei.h" },
  OPENSSL = { header = "openssl/ssl.h" },
  ZLIB = { header = "zlib.h" },
}

build = {
  type = "cmake",
  variables = {
    CMAKE_BUILD_TYPE = "Release",
    EDR_TESTS = "OFF",
    LIBDIR = "$(LIBDIR)",
    LUADIR = "$(LUADIR)",
    BINDIR = "$(BINDIR)",
    LUA = "$(LUA)",
    LUA_INCDIR = "$(LUA_INCDIR)",
    EI_INCDIR = "$(EI_INCDIR)",
    OPENSSL_DIR = "$(OPENSSL_DIR)",
    ZLIB_DIR = "$(ZLIB_DIR)",
  },
  copy_directories = { "examples" },
}

-- The program finds its tree by itself. LuaRocks' wrapper would load code from the folder that it is started in, before us.
deploy = {
  wrap_bin_scripts = false,
}

test = {
  type = "busted",
}
